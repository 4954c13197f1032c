"""The networks: layers only, no data."""
