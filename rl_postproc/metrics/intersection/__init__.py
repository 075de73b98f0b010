"""Intersection-based evaluation: F1, and PSDS over all operating points at once."""
