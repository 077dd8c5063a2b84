"""Nodes below StateGraph, put together channel by channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from distgraph.constants import TASKS
from distgraph.engine.call import NodeCall
from distgraph.errors import InvalidUpdateError
from distgraph.superstep.model import Node
from distgraph.types import MISSING, CachePolicy, RetryPolicy, TimeoutPolicy, Write

#: Returned by the function of a write that is not to be made.
SKIP_WRITE = MISSING


@dataclass(slots=True)
class NodeBuilder:
    """Puts a node together: what wakes it, what it reads and does, where its result goes. Methods can be chained."""

    _channels: str | list[str] = field(default_factory=list)
    _triggers: list[str] = field(default_factory=list)
    _actions: list[Any] = field(default_factory=list)
    _writes: list[tuple[str, Any]] = field(default_factory=list)
    _tags: list[str] = field(default_factory=list)
    _metadata: dict[str, Any] = field(default_factory=dict)
    _retry: list[RetryPolicy] = field(default_factory=list)
    _cache: CachePolicy[Any] | None = None
    _timeout: TimeoutPolicy | None = None

    def subscribe_only(self, channel: str) -> Self:
        """Wake on one channel, and take its value alone as input.

        Raises:
            ValueError: the node reads other channels already.
        """
        if self._channels:
            raise ValueError("Cannot subscribe to single channels when other channels are already subscribed to.")
        self._channels = channel
        self._triggers.append(channel)
        return self

    def subscribe_to(self, *channels: str, read: bool = True) -> Self:
        """Wake on any of ``channels``; with ``read`` they are part of the input, a dict.

        Raises:
            ValueError: the node takes a single channel's value.
        """
        if isinstance(self._channels, str):
            raise ValueError("Cannot subscribe to channels when subscribed to a single channel.")
        if read:
            self._channels.extend(channels)
        self._triggers.extend(channels)
        return self

    def read_from(self, *channels: str) -> Self:
        """Read ``channels`` without waking on them.

        Raises:
            ValueError: the node takes a single channel's value.
        """
        if isinstance(self._channels, str):
            raise ValueError("Cannot read additional channels when subscribed to single channels.")
        self._channels.extend(channels)
        return self

    def do(self, node: Any) -> Self:
        """Call ``node`` with the input, or with the result of what was given before."""
        self._actions.append(node)
        return self

    def write_to(self, *channels: str, **values: Any) -> Self:
        """Write the result to ``channels``; to named ones a fixed value, or what a function makes of the result."""
        self._writes += [(channel, _whole_result) for channel in channels]
        self._writes += values.items()
        return self

    def meta(self, *tags: str, **metadata: Any) -> Self:
        """Tags and metadata of the node's tasks."""
        self._tags.extend(tags)
        self._metadata.update(metadata)
        return self

    def add_retry_policies(self, *policies: RetryPolicy) -> Self:
        """When to try again; of several the first that matches."""
        self._retry.extend(policies)
        return self

    def add_cache_policy(self, policy: CachePolicy[Any]) -> Self:
        """Reuse the writes of equal inputs."""
        self._cache = policy
        return self

    def set_timeout(self, timeout: Any) -> Self:
        """Limit each attempt: seconds, a ``timedelta`` or a ``TimeoutPolicy``."""
        self._timeout = TimeoutPolicy.coerce(timeout)
        return self

    def build(self, name: str = "", retry: Sequence[RetryPolicy] = (), cache: CachePolicy[Any] | None = None) -> Node:
        """The node under ``name``, with the policies of its graph where it has none."""
        return Node(
            name=name,
            triggers=tuple(dict.fromkeys(self._triggers)),
            reads=self._channels if isinstance(self._channels, str) else tuple(dict.fromkeys(self._channels)),
            action=_action(name, self._actions),
            writer=_Writer(self._writes),
            retry=tuple(self._retry or retry),
            cache=self._cache or cache,
            timeout=self._timeout,
            metadata=self._metadata,
            tags=tuple(self._tags),
        )


# ------------------------------------------------------------ what a node does


def _whole_result(result: Any) -> Any:
    return result


class _Writer:
    """Result -> writes.

    Attributes:
        channels: that are written.
    """

    def __init__(self, entries: Sequence[tuple[str, Any]]) -> None:
        self._entries = tuple(entries)
        self.channels = tuple(channel for channel, _ in entries)
        if TASKS in self.channels:
            raise InvalidUpdateError(
                "Cannot write to the reserved channel TASKS; return a Send from a StateGraph's node."
            )

    def __call__(self, result: Any) -> list[Write]:
        made = [(channel, value(result) if callable(value) else value) for channel, value in self._entries]
        return [pair for pair in made if pair[1] is not SKIP_WRITE]


def _action(name: str, actions: Sequence[Any]) -> Any:
    calls = [NodeCall(action, name=name) for action in actions]
    return _Chain(calls) if len(calls) > 1 else calls[0] if calls else None


class _Chain:
    """Several calls, each with the result of the one before; for the engine it is one call."""

    def __init__(self, calls: Sequence[NodeCall]) -> None:
        self.calls = calls
        self.is_async = any(call.is_async for call in calls)
        self.sync_ok = all(call.sync_ok for call in calls)

    def call(self, value: Any, scope: Any) -> Any:
        for call in self.calls:
            value = call.call(value, scope)
        return value

    async def acall(self, value: Any, scope: Any) -> Any:
        for call in self.calls:
            value = await call.acall(value, scope)
        return value
