"""Stacks of stages, their parameter space, and what tuning yields."""
