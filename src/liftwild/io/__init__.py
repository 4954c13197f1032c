"""File formats of poses: one file each, listed in ``formats``."""
