"""The benchmark: agents, folds and seeds under the held-out protocol."""
