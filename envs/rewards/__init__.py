"""Rewards of the environments, by name; every file in this room is found by itself."""

from .base import Decided, Reward

__all__ = ["Decided", "Reward"]
