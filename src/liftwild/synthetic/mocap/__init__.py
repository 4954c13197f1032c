"""Motion of the user's own: recordings read and put on the body."""
