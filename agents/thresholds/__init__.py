"""Agents that choose any threshold, not only those of the grid."""
