"""Procedural poses, and views of poses without pictures."""
