"""The codec under the name that LangGraph's users know.

It is the wire codec: msgpack in a closed set of types. Types that this very process stores are learned from the values
themselves, so that a saver in one process needs no registration; bytes from elsewhere still name only types that were
registered here, and nothing is imported because bytes say so.
"""

from __future__ import annotations

from threading import RLock
from typing import Any

from distgraph.errors import CodecError
from distgraph.types import Command, Interrupt, Overwrite, Send, TimeoutPolicy
from distgraph.wire import Codec, TypeRegistry
from distgraph.wire.kinds import BY_TYPE

_KIND = "msgpack"
_NONE = (_KIND, Codec().pack(None))
#: The graph's own values that may stand in state, writes and questions, under names that outlive their modules.
_OWN = {"send": Send, "overwrite": Overwrite, "command": Command, "interrupt": Interrupt, "timeout": TimeoutPolicy}


class _Learned(dict[type, Any]):
    """Shapes by class; a class that is asked for while a value is stored gets its shape then."""

    def __init__(self, registry: TypeRegistry) -> None:
        super().__init__(registry.by_type)
        self._registry = registry
        self._lock = RLock()
        self._learning = False

    def get(self, cls: type, default: Any = None) -> Any:
        shape = super().get(cls)
        if shape is None and cls.__module__ != "builtins" and cls not in BY_TYPE:
            with self._lock:
                self._learn(cls)
            shape = super().get(cls)
        return default if shape is None else shape

    def _learn(self, cls: type) -> None:
        # The registry itself asks here, while it adds, whether a class is known.
        if self._learning or cls in self:
            return
        self._learning = True
        try:
            self._registry.add(cls)
        finally:
            self._learning = False


class JsonPlusSerializer:
    """Values to bytes and back; see the module.

    Args:
        registry: the types beyond the built-in kinds and the graph's own values.
        codec: limits and secret; its registry is not used.
        allowed_msgpack_modules, allowed_json_modules, pickle_fallback: accepted and without meaning here: the set of
            types is closed anyway, and there is no pickle to fall back to.
    """

    def __init__(
        self,
        *,
        registry: TypeRegistry | None = None,
        codec: Codec | None = None,
        allowed_msgpack_modules: Any = None,
        allowed_json_modules: Any = None,
        pickle_fallback: bool = False,
    ) -> None:
        self.registry = registry or TypeRegistry()
        for name, cls in _OWN.items():
            self.registry.add(cls, name=f"distgraph:{name}")
        self.registry.by_type = _Learned(self.registry)
        self._codec = codec.with_types(self.registry) if codec is not None else Codec(self.registry)

    def dumps(self, obj: Any) -> bytes:
        """``obj`` as bytes.

        Raises:
            CodecError: something in it cannot be stored; the text names the path to it.
        """
        return self._codec.pack(obj)

    def loads(self, data: bytes) -> Any:
        """The value that ``dumps`` was given."""
        return self._codec.unpack(data)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """The kind of the bytes and the bytes."""
        # What wakes a node carries no value: half of all that a saver stores.
        return _NONE if obj is None else (_KIND, self._codec.pack(obj))

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """The value that ``dumps_typed`` was given.

        Raises:
            CodecError: bytes of another serializer; but what LangGraph stored as JSON before its version 1 is read.
        """
        kind, payload = data
        if kind == "json":
            from distgraph.checkpoint.serde.older import loads

            return loads(payload)
        if kind != _KIND:
            raise CodecError(f"Stored value is of kind {kind!r}, from another serializer; this one reads {_KIND!r}.")
        return self._codec.unpack(payload)
