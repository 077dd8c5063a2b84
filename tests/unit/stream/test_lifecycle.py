"""Nested graphs are followed by the tasks of the graphs around them."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.errors import GraphDrained, GraphInterrupt
from distgraph.stream.events import ProtocolEvent, make_event
from distgraph.stream.lifecycle import LifecycleTransformer, Nests
from distgraph.stream.mux import StreamMux, finished

pytestmark = pytest.mark.unit


def task(namespace: str, name: str, number: int = 1, **more: Any) -> ProtocolEvent:
    return make_event("tasks", {"id": str(number), "name": name, "input": {}, **more}, namespace.split())


def ends(namespace: str, name: str, number: int = 1, **more: Any) -> ProtocolEvent:
    return make_event("tasks", {"id": str(number), "name": name, "result": {}, **more}, namespace.split())


def told(*events: ProtocolEvent, scope: str = "", err: BaseException | None = None) -> list[Any]:
    """(event, namespace, rest) of all that is told of these events, and then of the run's end."""
    mux = StreamMux([LifecycleTransformer], scope=tuple(scope.split()))
    reader = iter(mux.extensions["lifecycle"])
    for event in events:
        finished(mux.push(event))
    finished(mux.close() if err is None else mux.fail(err))
    seen = []
    try:
        for payload in reader:
            payload = dict(payload)
            seen.append((payload.pop("event"), " ".join(payload.pop("namespace")), payload))
    except type(err or ValueError()) as exc:
        assert exc is err
    return seen


OUTER = [task("", "a"), task("a:1", "x", 2), task("a:1 x:2", "deep", 3)]
STARTED = [
    ("started", "a:1", {"graph_name": "a", "trigger_call_id": "1"}),
    ("started", "a:1 x:2", {"graph_name": "x", "trigger_call_id": "2"}),
]


def test_a_graph_ends_with_the_task_that_runs_it() -> None:
    assert told(*OUTER, ends("a:1 x:2", "deep", 3), ends("a:1", "x", 2), ends("", "a")) == [
        *STARTED,
        ("completed", "a:1 x:2", {}),
        ("completed", "a:1", {}),
    ]


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ({"error": ValueError("no")}, ("failed", "a:1", {"error": "no"})),
        ({"error": ValueError("no"), "interrupts": [{"value": "?"}]}, ("interrupted", "a:1", {})),
    ],
)
def test_how_it_ended(end: Any, status: Any) -> None:
    assert told(*OUTER[:2], ends("", "a", **end)) == [STARTED[0], status]


@pytest.mark.parametrize(
    ("err", "status", "more"),
    [
        (None, "completed", {}),
        (GraphDrained("drained"), "drained", {}),
        (GraphInterrupt(), "interrupted", {}),
        (ValueError("no"), "failed", {"error": "no"}),
    ],
)
def test_what_nobody_saw_end_ends_with_the_run(err: Any, status: str, more: Any) -> None:
    assert told(*OUTER, err=err)[2:] == [(status, "a:1", more), (status, "a:1 x:2", more)]


def test_graphs_outside_are_not_followed() -> None:
    assert told(*OUTER, task("b:9", "y", 4), scope="a:1") == [STARTED[1], ("completed", "a:1 x:2", {})]


@pytest.mark.parametrize("given", [{"tool_call": {"id": "call"}}, [{"id": "call"}, {"id": "later"}]])
def test_an_agent_that_a_tool_call_started(given: Any) -> None:
    agent = {"lc_agent_name": "clerk"}
    events = task("", "tools", input=given), task("tools:1", "model", 2, metadata=agent)
    assert told(*events)[0][2] == {
        "graph_name": "clerk",
        "trigger_call_id": "1",
        "cause": {"type": "toolCall", "tool_call_id": "call"},
    }


def test_nothing_is_kept_of_what_has_ended() -> None:
    nests = Nests((), deep=True)
    for event in (*OUTER, ends("a:1 x:2", "deep", 3), ends("a:1", "x", 2), ends("", "a")):
        nests.started(event)
        nests.ended(event)
    assert (nests._known, nests._open, nests._tool_calls) == (set(), {}, {})
