"""Where people are in space: distance, and the floor."""
