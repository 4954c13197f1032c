"""Pictures of the body: cameras, light, backdrops, and exact labels."""
