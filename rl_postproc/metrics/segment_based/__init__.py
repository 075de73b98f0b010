"""Segment-based counts, equal to sed_eval's."""
