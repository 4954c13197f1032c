"""Poses as joint rotations and as upright people."""
