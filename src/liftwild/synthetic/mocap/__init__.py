"""Motion capture of the user's own: files read and retargeted to the body."""
