"""Several calls of a saver made at once: what a superstep wrote, and the checkpoint that follows from it."""

from __future__ import annotations

from collections.abc import Callable
from operator import is_
from typing import Any

#: A method of a saver, ``put`` or ``put_writes``, and its arguments.
Op = tuple[str, tuple[Any, ...]]


def is_own(saver: Any, shortcut: type, *methods: str) -> bool:
    """Whether a shortcut past these methods, made for the class ``shortcut``, passes none that a subclass overrides."""
    return all(getattr(type(saver), name) is getattr(shortcut, name) for name in methods)


class PackedOnce:
    """Packs what is asked for, the same objects once: a checkpoint that follows from writes holds what was written.

    For the time of one call: objects that change between two must be packed again.

    Args:
        pack: value -> its bytes, in whatever form.
    """

    __slots__ = ("_known", "_pack")

    def __init__(self, pack: Callable[[Any], Any]) -> None:
        self._pack = pack
        #: By what the value is, or begins with and ends with: candidates. They are kept, so that no id is used twice.
        self._known: dict[tuple[int, ...], tuple[Any, Any]] = {}

    def __call__(self, value: Any) -> Any:
        is_list = type(value) is list and len(value) > 0
        key = (len(value), id(value[0]), id(value[-1])) if is_list else (id(value),)
        known = self._known.get(key)
        if known is not None and (known[0] is value or (is_list and all(map(is_, known[0], value)))):
            return known[1]
        packed = self._pack(value)
        self._known[key] = value, packed
        return packed
