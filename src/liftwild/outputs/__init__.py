"""Poses written down: JSON, pictures, and runs over many photos."""
