"""Conformance checks for environments: single ones and native vector environments."""

from .environment import check_environment
from .vector_environment import check_vector_environment

__all__ = ["check_environment", "check_vector_environment"]
