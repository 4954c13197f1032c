"""Poses as upright people in metres, as joint rotations, and as animations."""
