"""Photos, videos, folders of frames and streams, decoded."""
