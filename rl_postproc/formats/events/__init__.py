"""Formats of events, one file each."""
