"""The public place of ``AnyValue``."""

from distgraph.channels.last_value import AnyValue

__all__ = ["AnyValue"]
