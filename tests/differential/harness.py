"""Runs a program on both libraries and makes what it observed comparable.

A program is a function of an ``Api``: it builds a graph, runs it, and returns what can be seen of it. What must differ
between two runs of the very same library (ids, times) is replaced by "first such value", "second such value", ...
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import Any

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?")


class Api:
    """One library's public modules: ``api.graph.StateGraph``, ``api.types.Send``, ..."""

    def __init__(self, root: str) -> None:
        self.root = root

    def module(self, path: str) -> ModuleType:
        return import_module(f"{self.root}.{path}")

    def __getattr__(self, name: str) -> Any:
        """The names that nearly every program uses."""
        places = {
            "StateGraph": "graph",
            "START": "graph",
            "END": "graph",
            "add_messages": "graph",
            "MessagesState": "graph.message",
            "Send": "types",
            "Command": "types",
            "Interrupt": "types",
            "Overwrite": "types",
            "RetryPolicy": "types",
            "StateUpdate": "types",
            "interrupt": "types",
            "InMemorySaver": "checkpoint.memory",
            "RunControl": "runtime",
            "Runtime": "runtime",
            "RemainingSteps": "managed",
            "IsLastStep": "managed",
            "Pregel": "pregel",
            "NodeBuilder": "pregel",
        }
        if name.startswith("_") or name not in places:
            raise AttributeError(name)
        return getattr(self.module(places[name]), name)


PEER = Api("langgraph")
OURS = Api("distgraph")

Program = Callable[[Api], Any]


def observe(program: Program, api: Api) -> Any:
    """What ``program`` sees on ``api``, comparable."""
    with warnings.catch_warnings():
        # Deprecations and lints of one library are none of the other's business.
        warnings.simplefilter("ignore")
        return _Normal().of(program(api))


class Raised:
    """A failure, by the names under which callers can catch it.

    distgraph's own errors are also what the peer raises (``GraphValidationError`` is a ``ValueError``), so two failures
    agree when whoever catches the peer's catches ours too.
    """

    def __init__(self, exc: BaseException) -> None:
        plain = (object, BaseException, Exception)
        self.names = {cls.__name__ for cls in type(exc).__mro__ if cls not in plain}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Raised) and (self.names >= other.names or self.names <= other.names)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Raised({', '.join(sorted(self.names))})"


def outcome(call: Callable[[], Any]) -> Any:
    """The result of ``call``, or its failure."""
    try:
        return call()
    except Exception as exc:
        return Raised(exc)


class _Normal:
    """One observation; ids are numbered in the order in which they are first seen."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    def of(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, BaseException):
            return Raised(value)
        if isinstance(value, Enum):
            return value.name
        if isinstance(value, type):
            return value.__name__
        if is_dataclass(value):
            return {field.name: self.of(getattr(value, field.name)) for field in fields(value)}
        if hasattr(value, "model_dump"):
            return self.of(value.model_dump())
        if isinstance(value, Mapping):
            return {self.of(key): self.of(item) for key, item in value.items()}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return {name: self.of(item) for name, item in zip(value._fields, value, strict=True)}
        if isinstance(value, list | tuple):
            return [self.of(item) for item in value]
        if isinstance(value, set | frozenset):
            return sorted(map(repr, value))
        return value

    def _text(self, text: str) -> str:
        for pattern, kind in ((_TIME, "time"), (_UUID, "id"), (_HEX, "hex")):
            text = pattern.sub(lambda match, kind=kind: self._number(match.group(), kind), text)  # type: ignore[misc]
        return text

    def _number(self, found: str, kind: str) -> str:
        return self.seen.setdefault(found, f"<{kind} {len(self.seen)}>")
