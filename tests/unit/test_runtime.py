"""What a node can see while it runs."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from distgraph.digests import interrupt_id
from distgraph.errors import GraphInterrupt
from distgraph.runtime import (
    DEFAULT_RUNTIME,
    EffectLog,
    ExecutionInfo,
    RunControl,
    Runtime,
    ServerInfo,
    TaskScope,
    _scope,
    current_scope,
    get_runtime,
)

pytestmark = pytest.mark.unit


def test_no_two_questions_of_a_node_get_one_answer() -> None:
    """However many OS threads ask at once."""
    scope, interval = TaskScope({}, DEFAULT_RUNTIME, answers=list(range(4000))), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            given = [*pool.map(lambda _: [scope.ask("?", None) for _ in range(500)], range(8))]
    finally:
        sys.setswitchinterval(interval)
    assert sorted(answer for answers in given for answer in answers) == list(range(4000))


def test_an_effect_happens_once() -> None:
    """A later attempt gets the recorded result."""
    calls: list[int] = []
    log = EffectLog()

    def charge() -> int:
        calls.append(1)
        return 42

    for _ in range(2):
        runtime: Runtime[None] = Runtime(idempotency_key="task", effects=log)
        assert runtime.once("charge", charge) == 42
    assert len(calls) == 1


def test_effects_of_different_tasks_and_keys_are_apart() -> None:
    log = EffectLog()
    results = [
        Runtime(idempotency_key=task, effects=log).once(key, f"{task}/{key}".lower)
        for task in ("a", "b")
        for key in ("x", "y")
    ]
    assert results == ["a/x", "a/y", "b/x", "b/y"]


def test_a_result_of_none_is_recorded_too() -> None:
    calls: list[int] = []
    runtime: Runtime[None] = Runtime()
    for _ in range(2):
        assert runtime.once("x", lambda: calls.append(1)) is None
    assert calls == [1]


def test_the_first_record_stands() -> None:
    log = EffectLog()
    assert [log.put("k", 1), log.put("k", 2)] == [1, 1]
    assert log.get("other") == (False, None)


def test_a_run_can_be_asked_to_stop() -> None:
    control = RunControl()
    runtime: Runtime[None] = Runtime(control=control)
    assert not control.drain_requested
    assert not runtime.drain_requested
    control.request_drain("deploy")
    assert (control.drain_requested, control.drain_reason, runtime.drain_requested) == (True, "deploy", True)
    assert not Runtime().drain_requested


def test_runtimes_can_be_merged() -> None:
    """What the other one sets wins; what it leaves alone stays."""
    info, server = ExecutionInfo(task_id="t"), ServerInfo(graph_id="g")
    base: Runtime[Any] = Runtime(context="ctx", store="store", stream_writer=print, previous=1, execution_info=info)
    merged = base.merge(Runtime(store="other", server_info=server, idempotency_key="k"))
    assert (merged.context, merged.store, merged.stream_writer, merged.previous) == ("ctx", "other", print, 1)
    assert (merged.execution_info, merged.server_info, merged.idempotency_key) == (info, server, "k")
    assert base.merge(DEFAULT_RUNTIME) == base


def test_runtimes_can_be_changed_for_tests() -> None:
    assert Runtime(context=1).override(context=2).context == 2
    assert ExecutionInfo(task_id="a").patch(node_attempt=3) == ExecutionInfo(task_id="a", node_attempt=3)


def test_defaults_do_nothing() -> None:
    runtime: Runtime[None] = Runtime()
    runtime.stream_writer("nobody reads this")
    runtime.heartbeat()
    assert runtime.execution_info is None


def test_answers_are_taken_in_order_and_then_the_task_asks() -> None:
    scope = TaskScope({}, Runtime(), ns="a:1", answers=["first"])
    assert scope.ask("q1", None) == "first"
    with pytest.raises(GraphInterrupt) as caught:
        scope.ask("q2", {"type": "string"})
    (question,) = caught.value.interrupts
    assert (question.value, question.id, question.response_schema) == ("q2", interrupt_id("a:1", 1), {"type": "string"})


def test_the_scope_is_there_while_a_node_runs() -> None:
    with pytest.raises(RuntimeError, match="Called outside of a runnable context"):
        current_scope()
    scope = TaskScope({}, Runtime(context="ctx"))
    token = _scope.set(scope)
    try:
        assert current_scope() is scope
        assert get_runtime(str).context == "ctx"
    finally:
        _scope.reset(token)
