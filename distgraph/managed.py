"""Values of a node's input that the engine computes from the step and its limit; never stored, never written."""

from __future__ import annotations

from typing import Annotated


class ManagedValue:
    """A value computed for each superstep from the current step and the last one allowed."""

    @staticmethod
    def get(step: int, stop: int) -> object:
        """The value in superstep ``step`` of a run that ends before ``stop``."""
        raise NotImplementedError


class IsLastStepManager(ManagedValue):
    """Whether only one superstep is left after this one."""

    @staticmethod
    def get(step: int, stop: int) -> bool:
        return step == stop - 1


class RemainingStepsManager(ManagedValue):
    """How many supersteps are left after this one."""

    @staticmethod
    def get(step: int, stop: int) -> int:
        return stop - step


IsLastStep = Annotated[bool, IsLastStepManager]
RemainingSteps = Annotated[int, RemainingStepsManager]
