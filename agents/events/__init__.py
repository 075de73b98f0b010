"""Agents that judge the events which candidates decode."""
