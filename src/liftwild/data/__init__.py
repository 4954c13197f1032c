"""Labelled photos: readers at the edge, the store, augmentation, mixed batches."""
