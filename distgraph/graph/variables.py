"""The type variables of graphs: state, context, input and output schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


class Subscripted:
    """Lets ``StateGraph[State]`` be written at run time too: what is not named has its default."""

    if not TYPE_CHECKING:

        def __class_getitem__(cls, params: Any) -> Any:
            given = params if isinstance(params, tuple) else (params,)
            wanted = len(getattr(cls, "__parameters__", ()))
            defaults = (given[0], Any, given[0], given[0])
            return super().__class_getitem__((*given, *defaults[len(given) : wanted]))
