"""Additions to rl_postproc: a stage, a metric and an agent."""
