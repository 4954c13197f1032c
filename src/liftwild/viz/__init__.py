"""Pictures of poses: figures, overlays, charts, the viewer."""
