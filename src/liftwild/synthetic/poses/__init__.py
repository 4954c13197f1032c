"""Poses that people take, made up by rules."""
