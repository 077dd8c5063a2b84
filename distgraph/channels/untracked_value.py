"""The public place of ``UntrackedValue``."""

from distgraph.channels.last_value import UntrackedValue

__all__ = ["UntrackedValue"]
