"""How many supersteps a run has left."""

from __future__ import annotations

from typing import Annotated

from distgraph.managed.base import ManagedValue


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
