"""Constants for elsewhere: as plain YAML, and as a NumPy function of one file."""
