"""What a builder holds: the parts of a graph as they were declared, each with its place."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from distgraph.engine.call import NodeCall
from distgraph.graph.problems import Place
from distgraph.types import CachePolicy, Placement, RetryPolicy, TimeoutPolicy


@dataclass(slots=True)
class NodeSpec:
    """A declared node.

    Attributes:
        action: what the user gave: a function, a graph, ...
        input_schema: type of the node's view of the state.
        ends: declared destinations of its Commands, as names or name -> label.
        returned: annotation of the action's result, if it could be read.
    """

    action: Any
    metadata: Mapping[str, Any] | None
    input_schema: Any
    retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None
    cache_policy: CachePolicy[Any] | None = None
    error_handler_node: str | None = None
    is_error_handler: bool = False
    ends: tuple[str, ...] | Mapping[str, str] = ()
    defer: bool = False
    timeout: TimeoutPolicy | None = None
    trace_policy: Any = None
    queue: str | None = None
    placement: Placement | None = None
    returned: Any = None
    place: Place | None = None
    name: str = ""

    @property
    def runnable(self) -> Any:
        """The action where it has ``invoke``; else its function, as ``NodeFunction``."""
        if hasattr(self.action, "invoke") or not callable(self.action):
            return self.action
        call = NodeCall(self.action, name=self.name)
        return NodeFunction(self.name, self.action if call.sync_ok else None, self.action if call.is_async else None)


class NodeFunction(NamedTuple):
    """A node's function, for programs that look at it: ``func`` where it is plain, ``afunc`` where it is async."""

    name: str
    func: Any
    afunc: Any


@dataclass(slots=True)
class BranchSpec:
    """A declared conditional edge. ``input_schema`` is its function's own view, None for its node's."""

    path: Any
    ends: Mapping[Hashable, str] | None
    input_schema: Any = None
    place: Place | None = None


@dataclass(slots=True)
class NodeDefaults:
    """What nodes get that did not say otherwise."""

    retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None
    cache_policy: CachePolicy[Any] | None = None
    error_handler: Any = None
    timeout: TimeoutPolicy | None = None


@dataclass(slots=True)
class Edges:
    """Declared edges with their places, in the order of their declaration; a repeated one counts in ``repeated``."""

    plain: dict[tuple[str, str], Place] = field(default_factory=dict)
    joins: dict[tuple[tuple[str, ...], str], Place] = field(default_factory=dict)
    #: Joins that may be left half complete.
    optional: set[tuple[tuple[str, ...], str]] = field(default_factory=set)
    repeated: list[tuple[Any, str, Place]] = field(default_factory=list)
