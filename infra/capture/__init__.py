"""Whole exchanges kept for a bug report, on request only, and played again."""
