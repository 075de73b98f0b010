"""Counts of every candidate, and of every threshold."""
