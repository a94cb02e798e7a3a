"""Composition roots: the only code that reads the environment."""
