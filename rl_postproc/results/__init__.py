"""Tables, plots and intervals of results."""
