"""JSON, as LangGraph stored some values before its version 1. Nothing is written in it any more."""

from __future__ import annotations

import json
from typing import Any

from distgraph.errors import CodecError, DistgraphError
from distgraph.types import Command, Interrupt, Send

#: All classes that such JSON may name; nothing is imported for it.
_KNOWN = {cls.__name__: cls for cls in (Command, Interrupt, Send)}


def loads(data: bytes) -> Any:
    """The value of such JSON: plain values, and the graph's own among them.

    Raises:
        CodecError: it is no JSON, or names another class.
        ImportError: it has a question, and xxhash is not installed.
    """
    try:
        return json.loads(data, object_hook=_revived)
    except (ValueError, TypeError, RecursionError) as exc:
        if isinstance(exc, DistgraphError):
            raise
        raise CodecError(f"Stored value of kind 'json' cannot be read: {exc}.") from exc


def _revived(found: dict[str, Any]) -> Any:
    if found.get("lc") not in (1, 2) or found.get("type") != "constructor":
        return found
    path = found.get("id")
    match path:
        case ["langgraph", "types", str(name)] if name in _KNOWN:
            return _KNOWN[name](*found.get("args") or (), **_with_id(found.get("kwargs") or {}))
    raise CodecError(
        f"Stored value of kind 'json' holds a {path!r:.80}: of the classes that LangGraph stored as JSON only "
        f"{', '.join(_KNOWN)} are read. Copy such threads once, reading them with the serializer that wrote them."
    )


def _with_id(kwargs: dict[str, Any]) -> dict[str, Any]:
    """A question without an id has the one that LangGraph made of its namespace, by which it was shown and is answered."""
    if kwargs.get("ns") is None or "id" in kwargs:
        return kwargs
    try:
        from xxhash import xxh3_128_hexdigest
    except ImportError:
        raise ImportError("Ids of questions of that time need xxhash. Install it with: pip install xxhash") from None
    return {**kwargs, "id": xxh3_128_hexdigest("|".join(kwargs["ns"]).encode())}
