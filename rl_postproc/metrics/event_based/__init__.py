"""Event-based counts with collars, equal to sed_eval's."""
