"""The body, its clothes and its colours."""
