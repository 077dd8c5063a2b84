"""What a thread's checkpoints say."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.constants import ERROR, ERROR_SOURCE
from distgraph.engine import sync
from distgraph.engine.states import States, pending_of
from distgraph.errors import ConfigError
from distgraph.superstep.model import Program
from distgraph.types import Command, PregelTask, interrupt
from tests.unit.engine.small import ask, line, logs, on, side_by_side, small

pytestmark = pytest.mark.unit


def ran(program: Program, *inputs: Any, thread: str = "t") -> tuple[States, InMemorySaver]:
    saver = InMemorySaver()
    for given in inputs:
        sync.run(ask(program, given, on(thread), saver))
    return States(program, saver), saver


def test_a_thread_that_never_ran_has_an_empty_state() -> None:
    states, _ = ran(line("a"))
    snapshot = states.get(on())
    assert (snapshot.values, snapshot.next, snapshot.metadata, snapshot.tasks) == ({}, (), None, ())
    assert list(states.history(on())) == []


def test_a_snapshot_names_itself_and_its_parent() -> None:
    states, _ = ran(line("a"), {"n": 1})
    snapshot = states.get(on())
    assert (snapshot.values, snapshot.next) == ({"n": 1, "log": ["a"]}, ())
    assert snapshot.metadata == {"source": "loop", "step": 1, "parents": {}}
    assert states.get(snapshot.config) == snapshot
    assert states.get(snapshot.parent_config).next == ("a",)
    assert snapshot.created_at is not None
    assert snapshot.created_at.endswith("+00:00")


def test_history_is_newest_first_and_can_be_narrowed() -> None:
    states, _ = ran(line("a", "b"), {"n": 1})
    whole = list(states.history(on()))
    assert [snapshot.metadata["step"] for snapshot in whole] == [2, 1, 0, -1]
    assert list(states.history(on(), limit=2)) == whole[:2]
    assert list(states.history(on(), before=whole[1].config)) == whole[2:]
    assert list(states.history(on(), filter={"source": "input"})) == whole[3:]
    assert list(states.history(on(), filter={"source": "input"}, limit=1)) == whole[3:]


def test_history_shows_what_each_task_came_to() -> None:
    states, _ = ran(line("a"), {"n": 1})
    (task,) = list(states.history(on()))[1].tasks
    assert isinstance(task, PregelTask)
    assert (task.name, task.path, task.result, task.error) == ("a", ("__pregel_pull", "a"), {"log": ["a"]}, None)


def test_the_latest_state_is_live_and_earlier_ones_are_records() -> None:
    """Live: with what has finished since, and only questions that wait. A record: as the superstep began."""
    program = side_by_side(a=lambda s: {"log": [interrupt("a?")]}, b=lambda s: {"log": [interrupt("b?")]})
    states, saver = ran(program, {"log": ["in"]})
    first = {each.value: each.id for each in states.get(on()).interrupts}
    sync.run(ask(program, Command(resume={first["a?"]: "A"}), on(), saver))
    live = states.get(on())
    assert (live.values["log"], live.next) == (["in", "A"], ("b",))
    assert [each.value for each in live.interrupts] == ["b?"]
    record = states.get(live.config)
    assert (record.values["log"], record.next) == (["in"], ("a", "b"))
    assert [each.value for each in record.interrupts] == ["a?", "b?"]
    assert [task.result for task in record.tasks] == [{"log": ["A"]}, None]


def test_tasks_are_shown_in_the_order_of_declaration() -> None:
    """Though they are applied by name: people read them as they wrote them."""
    program = side_by_side(z=logs("z"), a=logs("a"))
    states, saver = ran(program)
    sync.run(ask(program, {}, on(), saver, interrupt_before="*"))
    assert states.get(on()).next == ("z", "a")


def test_what_a_command_brought_in_is_part_of_the_state() -> None:
    """Also before the superstep that follows it has ended."""

    def q(state: Any) -> Any:
        return {"log": [interrupt("?")]}

    program = side_by_side(q=q)
    states, saver = ran(program, {"n": 1})
    sync.run(ask(program, Command(update={"n": 7}), on(), saver))
    assert states.get(on()).values["n"] == 7
    assert len(pending_of(saver.get_tuple(on()))) == 2  # type: ignore[arg-type]


def test_a_task_whose_error_handler_took_over_is_not_finished_wherever_it_ran() -> None:
    """In process its handler's writes are kept apart from it; workers keep them together."""

    def q(state: Any) -> Any:
        return {"log": [interrupt("?")]}

    program = side_by_side(q=q, other=lambda state: {"log": ["other"]})
    states, saver = ran(program, {"n": 1})
    before = states.get(on())
    (other,) = [task.id for task in before.tasks if task.name == "other"]
    saved = saver.get_tuple(on())
    assert saved is not None
    assert (before.next, before.values["log"]) == (("q",), ["other"])
    writes = [(tid, channel, value) for tid, channel, value in saved.pending_writes or () if tid != other]
    handled = [(other, ERROR, "no"), (other, ERROR_SOURCE, "other"), (other, "log", ["handled"])]
    stored = saved._replace(pending_writes=[*writes, *handled])

    class Stored(InMemorySaver):
        def get_tuple(self, config: Any) -> Any:
            return stored

    found = States(program, Stored()).get(on())
    assert found.next == ("q", "other")
    assert found.values.get("log", []) == []
    assert [(task.error, task.result) for task in found.tasks if task.id == other] == [("no", None)]
    assert pending_of(stored)[other] == [(ERROR, "no"), (ERROR_SOURCE, "other")]


def test_what_a_command_woke_and_that_waits_is_shown_beside_what_waited() -> None:
    program = small({"a": lambda s: {"log": [interrupt("a?")]}, "b": lambda s: {"log": [interrupt("b?")]}})
    states, saver = ran(program, {"n": 1})
    sync.run(ask(program, Command(goto="b"), on(), saver))
    live = states.get(on())
    assert (live.next, [each.value for each in live.interrupts]) == (("a", "b"), ["a?", "b?"])
    sync.run(ask(program, Command(resume={live.interrupts[0].id: "A"}), on(), saver))
    assert states.get(on()).next == ("b",)
    assert sync.run(ask(program, Command(resume="B"), on(), saver)).value["log"] == ["A", "B"]
    assert states.get(on()).next == ()


def test_a_saver_is_needed() -> None:
    for saver in (None, False):
        with pytest.raises(ValueError, match="No checkpointer set: graph 'g'"):
            States(line("a"), saver, name="g")
    with pytest.raises(RuntimeError, match="cannot be used for root graphs"):
        States(line("a"), True, name="g")


def test_a_thread_is_needed() -> None:
    states, _ = ran(line("a"))
    with pytest.raises(ConfigError, match="belongs to a thread"):
        states.get({"configurable": {}})
    with pytest.raises(KeyError):
        list(states.history({}))


def test_a_thread_may_be_named_by_a_number() -> None:
    states, _ = ran(line("a"), {"n": 1}, thread="5")
    assert states.get({"configurable": {"thread_id": 5}}).values["n"] == 1


def test_the_async_faces_say_the_same() -> None:
    states, _ = ran(line("a", "b"), {"n": 1})

    async def main() -> None:
        assert await states.aget(on()) == states.get(on())
        assert [s async for s in states.ahistory(on(), limit=2)] == list(states.history(on(), limit=2))

    asyncio.run(main())


def test_a_namespace_that_no_node_declares_is_read_with_this_graph() -> None:
    """As of a graph that a function calls: its checkpoints are there, its channels are not known."""
    states, _ = ran(line("a"), {"n": 1})
    assert states.get(on("t", checkpoint_ns="unknown:1")).values == {}
