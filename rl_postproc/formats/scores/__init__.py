"""Formats of scores, one file each; what helps to read one lies beside it."""
