"""Agents that search constant parameters on the count table."""
