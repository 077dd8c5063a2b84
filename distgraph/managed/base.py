"""Values of a node's input that the engine computes from the step and its limit; never stored, never written."""

from __future__ import annotations


class ManagedValue:
    """A value computed for each superstep from the current step and the last one allowed."""

    @staticmethod
    def get(step: int, stop: int) -> object:
        """The value in superstep ``step`` of a run that ends before ``stop``."""
        raise NotImplementedError
