"""Score sets, events, and folds of clips."""
