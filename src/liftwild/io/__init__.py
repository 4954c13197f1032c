"""File formats of poses: one file each, listed in ``formats``; and poses as a DataFrame."""
