"""Graphs whose classes take type arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


class Subscripted:
    """Lets ``StateGraph[State]`` be written at run time too: what is not named has its default."""

    if not TYPE_CHECKING:

        def __class_getitem__(cls, params: Any) -> Any:
            given = params if isinstance(params, tuple) else (params,)
            wanted = len(getattr(cls, "__parameters__", ()))
            defaults = (given[0], Any, given[0], given[0])
            return super().__class_getitem__((*given, *defaults[len(given) : wanted]))
