"""People followed through a clip, and their poses made steady."""
