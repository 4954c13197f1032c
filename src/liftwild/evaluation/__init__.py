"""Metrics, and measuring a network with them."""
