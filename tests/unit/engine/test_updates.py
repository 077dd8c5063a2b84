"""Changing a thread from outside."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.constants import END
from distgraph.engine import sync
from distgraph.engine.states import States
from distgraph.errors import InvalidUpdateError
from distgraph.superstep.model import Program
from distgraph.types import StateUpdate, interrupt
from tests.unit.engine.small import ask, line, logs, on, side_by_side, small

pytestmark = pytest.mark.unit


class Thread:
    """One thread of one graph."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.saver = InMemorySaver()
        self.states = States(program, self.saver)

    def run(self, given: Any, config: Any = None, **options: Any) -> Any:
        return sync.run(ask(self.program, given, config or on(), self.saver, **options)).value

    def update(self, values: Any, as_node: str | None = None, config: Any = None, task_id: str | None = None) -> Any:
        return self.states.update(config or on(), [[StateUpdate(values, as_node, task_id)]])

    @property
    def now(self) -> Any:
        return self.states.get(on())

    @property
    def past(self) -> list[Any]:
        return list(self.states.history(on()))


def test_an_update_is_written_as_if_a_node_had_returned_it() -> None:
    """Its reducers, edges and branches apply; what waited before is replaced."""
    thread = Thread(line("a", "b", "c"))
    thread.run({"n": 1})
    thread.update({"log": ["u"]}, "a")
    assert (thread.now.values["log"], thread.now.next) == (["a", "b", "c", "u"], ("b",))
    assert thread.now.metadata == {"source": "update", "step": 4, "parents": {}}
    assert thread.run(None)["log"] == ["a", "b", "c", "u", "b", "c"]


def test_conditional_edges_of_the_node_choose() -> None:
    program = small({"a": logs("a"), "b": logs("b")}, branches={"a": lambda s: "b" if s["n"] > 5 else END})
    thread = Thread(program)
    thread.run({"n": 1})
    thread.update({"n": 9}, "a")
    assert thread.now.next == ("b",)
    thread.update({"n": 1}, "a")
    assert thread.now.next == ()


def test_the_node_that_ran_last_is_the_default() -> None:
    """However many updates came since."""
    thread = Thread(line("a", "b", "c"))
    thread.run({"n": 1}, interrupt_before=["c"])
    for text in ("one", "two"):
        thread.update({"log": [text]})
    assert (thread.now.values["log"], thread.now.next) == (["a", "b", "one", "two"], ("c",))


def test_several_nodes_that_ran_last_are_no_default() -> None:
    thread = Thread(side_by_side(a=logs("a"), b=logs("b")))
    thread.run({"n": 1})
    with pytest.raises(InvalidUpdateError, match="Ambiguous update, specify as_node"):
        thread.update({"log": ["u"]})


def test_where_sends_ran_last_the_node_before_them_is_the_default() -> None:
    from distgraph.types import Send

    program = small(
        {"a": logs("a"), "w": lambda s: {"log": ["w"]}}, branches={"a": lambda s: [Send("w", {}), Send("w", {})]}
    )
    thread = Thread(program)
    thread.run({"n": 1})
    thread.update({"log": ["u"]})
    assert thread.now.values["log"][-1] == "u"
    assert [task.name for task in thread.now.tasks] == ["w", "w"]


def test_a_fresh_thread_is_started_by_an_update() -> None:
    thread = Thread(line("a", "b"))
    thread.update({"log": ["fresh"]})
    assert thread.now.next == ("a",)
    assert thread.now.metadata["step"] == 0
    assert thread.run(None)["log"] == ["fresh", "a", "b"]


def test_clearing_gives_up_what_waits_and_keeps_what_finished() -> None:
    def q(state: Any) -> Any:
        return {"log": [interrupt("?")]}

    thread = Thread(side_by_side(a=logs("a"), q=q))
    thread.run({"log": ["in"]})
    thread.update(None, END)
    assert (thread.now.values["log"], thread.now.next, thread.now.interrupts) == (["in", "a"], (), ())


def test_an_update_may_be_an_input() -> None:
    thread = Thread(line("a"))
    thread.update({"log": ["in"]}, "__input__")
    assert (thread.now.next, thread.now.metadata["source"]) == (("__start__",), "input")
    assert thread.run(None)["log"] == ["in", "a"]
    with pytest.raises(InvalidUpdateError, match="Received no input"):
        thread.update(None, "__input__")


def test_a_copy_stands_beside_its_original() -> None:
    """Same values, same parent, and a source that tells."""
    thread = Thread(line("a", "b"))
    thread.run({"n": 1})
    middle = next(snapshot for snapshot in thread.past if snapshot.next == ("b",))
    copied = thread.states.get(thread.update(None, "__copy__", middle.config))
    assert (copied.values, copied.next, copied.parent_config) == (middle.values, middle.next, middle.parent_config)
    assert copied.metadata["source"] == "fork"


def test_a_copy_can_be_changed_at_once() -> None:
    """Each value goes to its own task of the copied superstep."""
    thread = Thread(side_by_side(a=logs("a"), b=logs("b")))
    thread.run({"n": 1}, interrupt_before="*")
    thread.update([({"log": ["x"]}, "a"), ({"log": ["y"]}, "b")], "__copy__")
    assert thread.now.values["log"] == ["x", "y"]
    assert [task.result for task in thread.past[1].tasks] == [{"log": ["x"]}, {"log": ["y"]}]
    with pytest.raises(InvalidUpdateError, match="Invalid update item: 5 when copying"):
        thread.update([5], "__copy__")


def test_updates_at_an_old_checkpoint_make_a_branch() -> None:
    """The old checkpoint, on which others were built, is left as it was."""
    thread = Thread(line("a", "b"))
    thread.run({"n": 1})
    old = next(snapshot for snapshot in thread.past if snapshot.next == ("b",))
    before = thread.saver.get_tuple(old.config)
    branch = thread.states.get(thread.update({"log": ["forked"]}, "a", old.config))
    assert thread.saver.get_tuple(old.config) == before
    assert (branch.values["log"], branch.parent_config) == (["a", "forked"], old.config)
    assert thread.states.get(old.config) == old
    assert thread.run(None)["log"] == ["a", "forked", "b"]


def test_the_step_before_an_update_shows_it_as_a_result() -> None:
    """Where the node was waiting to run, its task has the update for its result."""
    thread = Thread(line("a", "b"))
    thread.run({"n": 1}, interrupt_before=["b"])
    thread.update({"log": ["instead"]}, "b")
    (task,) = thread.past[1].tasks
    assert (task.name, task.result) == ("b", {"log": ["instead"]})


def test_supersteps_of_updates_are_applied_one_after_the_other() -> None:
    thread = Thread(line("a", "b"))
    updates = [[StateUpdate({"log": ["1"]}, "a"), StateUpdate({"log": ["2"]}, "b")], [StateUpdate({"log": ["3"]}, "a")]]
    thread.states.update(on(), updates)
    assert [snapshot.values["log"] for snapshot in thread.past] == [["1", "2", "3"], ["1", "2"]]
    assert thread.now.next == ("b",)


@pytest.mark.parametrize(
    ("supersteps", "error", "message"),
    [
        ([], ValueError, "No supersteps provided"),
        ([[]], ValueError, "No updates provided"),
        ([[({}, "zz", None)]], InvalidUpdateError, "Node zz does not exist"),
        ([[({}, "a", None), ({}, None, None)]], InvalidUpdateError, "as_node is required"),
        ([[(None, END, None), ({}, "a", None)]], InvalidUpdateError, "Cannot apply multiple updates when clearing"),
        ([[({}, "__input__", None), ({}, "a", None)]], InvalidUpdateError, "multiple updates when updating as input"),
        ([[(None, "__copy__", None), ({}, "a", None)]], InvalidUpdateError, "Cannot copy checkpoint with multiple"),
        ([[(None, "__copy__", None)]], InvalidUpdateError, "Cannot copy a non-existent checkpoint"),
    ],
)
def test_updates_that_make_no_sense_are_refused(supersteps: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Thread(line("a", "b")).states.update(on(), supersteps)


def test_conflicting_updates_are_refused_and_nothing_is_stored() -> None:
    thread = Thread(line("a", "b"))
    with pytest.raises(InvalidUpdateError, match="Can receive only one value per step"):
        thread.states.update(on(), [[StateUpdate({"n": 1}, "a"), StateUpdate({"n": 2}, "b")]])
    assert thread.past == []


def test_the_async_face_does_the_same() -> None:
    """Async branches are awaited."""

    async def choose(state: Any) -> str:
        await asyncio.sleep(0)
        return "b"

    thread = Thread(small({"a": logs("a"), "b": logs("b")}, branches={"a": choose}))
    asyncio.run(thread.states.aupdate(on(), [[StateUpdate({"n": 1}, "a")]]))
    assert thread.now.next == ("b",)


def test_updates_carry_the_callers_metadata() -> None:
    thread = Thread(line("a"))
    thread.update({"n": 1}, "a", {**on(), "metadata": {"who": "me"}})
    assert thread.now.metadata["who"] == "me"


def test_updates_in_an_unknown_nested_graph_are_refused() -> None:
    """Writing there with this graph's nodes would store the wrong state."""
    with pytest.raises(ValueError, match="Subgraph sub not found"):
        Thread(line("a")).update({"n": 1}, "a", on("t", checkpoint_ns="sub:1"))
