"""The public place of ``EphemeralValue``."""

from distgraph.channels.last_value import EphemeralValue

__all__ = ["EphemeralValue"]
