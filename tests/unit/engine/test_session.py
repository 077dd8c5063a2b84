"""A run without any waiting: what a shell is told to run and to store."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from distgraph.checkpoint.base import CheckpointTuple
from distgraph.checkpoint.memory import InMemorySaver
from distgraph.engine.execute import run_task
from distgraph.engine.opening import opening
from distgraph.engine.savers import drive
from distgraph.engine.session import Session
from distgraph.superstep.advance import Verdict
from tests.unit.engine.small import ask, line, on, side_by_side

pytestmark = pytest.mark.unit


def opened(program: Any, saver: Any = None, **options: Any) -> Session:
    session = Session(ask(program, {"n": 1}, on() if saver else None, saver, **options))
    drive(opening(session), saver)
    return session


def settle_all(session: Session) -> None:
    for task in session.todo():
        session.settle(task, run_task(session.ctx, task))


def test_a_shell_can_drive_a_run_by_hand() -> None:
    """Open, run what is to be done, settle, step; until nothing is left."""
    session = opened(line("a", "b"))
    seen = []
    while session.running:
        seen.append([task.name for task in session.todo()])
        settle_all(session)
        session.step()
    session.close(None)
    session.conclude()
    assert seen == [["__start__"], ["a"], ["b"]]
    assert session.verdict is Verdict.DONE
    assert session.result().value == {"n": 1, "log": ["a", "b"]}


def test_what_is_to_be_stored_is_handed_to_the_shell() -> None:
    """Each task's writes as it settles, then the checkpoint with the channels that changed."""
    session = opened(line("a"), InMemorySaver())
    assert [name for name, _ in session.ops] == ["put"]
    session.ops.clear()
    settle_all(session)
    (name, (config, writes, task_id, path)) = session.ops.pop()
    assert (name, writes, path) == ("put_writes", [("n", 1), ("branch:to:a", None)], "__pregel_pull\x1f__start__")
    assert config["configurable"]["checkpoint_id"] == session.at.id
    assert task_id == session.tasks[0].id
    parent = session.at.id
    session.step()
    (name, (config, checkpoint, metadata, changed)) = session.ops.pop()
    assert (name, config["configurable"]["checkpoint_id"]) == ("put", parent)
    assert metadata == {"source": "loop", "step": 0, "parents": {}}
    assert set(changed) == {"n", "branch:to:a"}
    assert checkpoint["channel_values"] == {"n": 1, "branch:to:a": None}


def test_without_a_saver_nothing_is_to_be_stored_and_ids_are_unique() -> None:
    session = opened(line("a", "b"))
    ids = [session.at.id]
    while session.running:
        settle_all(session)
        session.step()
        ids.append(session.at.id)
    assert session.ops == []
    assert sorted(set(ids)) == ids
    assert all(len(each) == 36 for each in ids)


def test_ids_sort_after_those_of_the_stored_thread() -> None:
    """Also where the clock of this machine is behind the one that wrote them."""
    from distgraph.superstep.identity import checkpoint_id

    far = checkpoint_id(4_000_000_000_000_000, 5)

    class Ahead(InMemorySaver):
        def get_tuple(self, config: Any) -> CheckpointTuple | None:
            found = super().get_tuple(config)
            return found and found._replace(checkpoint={**found.checkpoint, "id": far})

    saver = Ahead()
    drive(opening(first := Session(ask(line("a"), {"n": 1}, on(), saver))), saver)
    for name, args in first.ops:
        getattr(saver, name)(*args)
    second = Session(ask(line("a"), {"n": 2}, on(), saver))
    drive(opening(second), saver)
    assert second.at.id > far


def test_a_superstep_with_a_question_is_not_applied() -> None:
    from distgraph.types import interrupt

    session = opened(side_by_side(a=lambda s: {"log": [interrupt("?")]}, b=lambda s: {"log": ["b"]}))
    settle_all(session)
    session.step()
    head = session.at
    settle_all(session)
    session.step()
    assert session.at is head
    assert (session.running, session.stopped) == (False, True)


def test_breakpoints_of_the_request_go_before_those_of_the_program() -> None:
    program = line("a", "b", "c")
    assert opened(program, interrupt_before=["b"]).rules.before == ("b",)
    assert opened(program, interrupt_after="*").rules.after == "*"
    assert opened(program).rules == (10007, (), ())


def test_what_is_added_while_calls_are_taken_is_not_lost() -> None:
    """Tasks that nodes call end in OS threads of their own, between any two instructions of the one that stores."""
    session = opened(line("a"), InMemorySaver())
    taken: list[Any] = []

    def take(frame: Any, event: str, arg: Any) -> None:
        if event == "call" and frame.f_code.co_name == "_writes_op":
            taken.extend(session.take_ops())

    (task,) = session.todo()
    sys.setprofile(take)
    try:
        session.settle(task, [("n", 1)])
    finally:
        sys.setprofile(None)
    assert [name for name, _ in taken] == ["put"]
    assert [name for name, _ in session.take_ops()] == ["put_writes"]
