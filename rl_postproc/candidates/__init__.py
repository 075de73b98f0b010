"""What the candidates of a stack decode: distinct events, and their features."""
