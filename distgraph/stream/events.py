"""What a run's stream is made of where transformers read it: one dict an event, numbered in the order of the run's log."""

from __future__ import annotations

from collections.abc import Mapping
from time import time
from typing import Any, Literal, NotRequired, TypedDict


class EventParams(TypedDict):
    """What an event tells.

    Attributes:
        namespace: the way to the graph it comes from; [] for the run's own.
        timestamp: milliseconds since the epoch, by the clock of this machine, which may go back: order events by ``seq``.
        data: what ``stream`` yields for it.
        interrupts: the questions that wait; of values alone.
    """

    namespace: list[str]
    timestamp: int
    data: Any
    interrupts: NotRequired[tuple[Any, ...]]


class ProtocolEvent(TypedDict):
    """One event.

    Attributes:
        type: always "event".
        event_id: for whoever sends events on to elsewhere.
        seq: its number in the run's log, from 1.
        method: the stream mode; the name of a transformer's channel ("lifecycle"); "custom:NAME" of a user's.
        params: what it tells.
    """

    type: Literal["event"]
    event_id: NotRequired[str]
    seq: NotRequired[int]
    method: str
    params: EventParams


def make_event(method: str, data: Any, namespace: list[str]) -> ProtocolEvent:
    """An event of this moment, without a number yet."""
    return {
        "type": "event",
        "method": method,
        "params": {"namespace": namespace, "timestamp": int(time() * 1000), "data": data},
    }


def event_of(part: Mapping[str, Any]) -> ProtocolEvent:
    """The event of one part of ``stream(version="v2", subgraphs=True)``."""
    event = make_event(part["type"], part["data"], list(part["ns"]))
    if "interrupts" in part:
        event["params"]["interrupts"] = part["interrupts"]
    return event
