"""Values of a node's input that the engine computes from the step and its limit; never stored, never written."""

from __future__ import annotations

from distgraph.managed.base import ManagedValue
from distgraph.managed.is_last_step import IsLastStep, IsLastStepManager, RemainingSteps, RemainingStepsManager

__all__ = ["IsLastStep", "IsLastStepManager", "ManagedValue", "RemainingSteps", "RemainingStepsManager"]
