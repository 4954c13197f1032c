"""Rendered people: clothed bodies in poses of any source, with exact 2D and 3D joints."""
