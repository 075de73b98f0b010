"""The built-in simulated data set."""
