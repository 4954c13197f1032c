"""Synthetic people: rendered pictures with exact labels, poses without pictures."""
