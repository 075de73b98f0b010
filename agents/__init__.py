"""What learns or searches post-processing, and the command line that runs it."""

from .base import Agent, Fit, agent_types, make_agent

agent_types()

__all__ = ["Agent", "Fit", "agent_types", "make_agent"]
