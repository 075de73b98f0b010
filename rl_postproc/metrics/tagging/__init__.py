"""Clip-level tags, with F1 equal to scikit-learn's."""
