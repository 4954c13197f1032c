"""The web page and its HTTP API: ``liftwild serve``."""
