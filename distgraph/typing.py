"""The type variables of graphs: state, context, input and output schema, a node's input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["ContextT", "InputT", "NodeInputT", "OutputT", "StateT", "StateT_co", "StateT_contra"]

if TYPE_CHECKING:
    # With defaults, so that StateGraph(State) alone is a whole type.
    from typing_extensions import TypeVar

    StateT = TypeVar("StateT", default=Any)
    ContextT = TypeVar("ContextT", default=Any)
    InputT = TypeVar("InputT", default=StateT)
    OutputT = TypeVar("OutputT", default=StateT)
else:
    from typing import TypeVar

    StateT, ContextT, InputT, OutputT = map(TypeVar, ("StateT", "ContextT", "InputT", "OutputT"))

StateT_co = TypeVar("StateT_co", covariant=True)
StateT_contra = TypeVar("StateT_contra", contravariant=True)
NodeInputT = TypeVar("NodeInputT")
