"""Where people are in a photo: the detector and its network."""
