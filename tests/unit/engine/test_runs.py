"""What runs do, in either engine: order, failures, limits, questions, breakpoints, savers.

The mirrors of ``sync`` and ``aio`` hold what is special to each.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import pytest

from distgraph.channels import BaseChannel, BinaryOperatorAggregate, LastValue, UntrackedValue
from distgraph.checkpoint.memory import InMemorySaver
from distgraph.constants import END
from distgraph.engine.states import States
from distgraph.errors import (
    EmptyInputError,
    GraphDrained,
    GraphRecursionError,
    InvalidUpdateError,
    UnknownInterruptError,
)
from distgraph.runtime import RunControl, Runtime
from distgraph.superstep.model import Program
from distgraph.types import Command, Send, interrupt
from tests.unit.engine.engines import ENGINES, in_color, run
from tests.unit.engine.small import ask, line, logs, on, side_by_side, small

pytestmark = pytest.mark.unit


def state(program: Program, saver: InMemorySaver, thread: str = "t") -> Any:
    return States(program, saver).get(on(thread))


def steps(program: Program, saver: InMemorySaver, thread: str = "t") -> list[tuple[str, int]]:
    found = States(program, saver).history(on(thread))
    return [(snapshot.metadata["source"], snapshot.metadata["step"]) for snapshot in found]


# ------------------------------------------------------------ order


@ENGINES
def test_nodes_side_by_side_are_applied_by_name(engine: str) -> None:
    """Not in the order in which they were declared, or finished."""
    program = side_by_side(z=logs("z"), a=logs("a"), m=logs("m"))
    assert run(engine, ask(program, {"log": ["in"]})).value == {"log": ["in", "a", "m", "z"]}


@ENGINES
def test_sends_are_applied_after_nodes_in_the_order_sent(engine: str) -> None:
    """Each runs with its argument as the whole input."""

    def fan(state: Any) -> Sequence[Any]:
        return [*(Send("w", {"item": i}) for i in (1, 2, 3)), "b"]

    program = small(
        {"a": logs("a"), "b": logs("b"), "w": lambda s: {"log": [s["item"]]}},
        branches={"a": in_color(engine, fan)},
    )
    assert run(engine, ask(program, {})).value["log"] == ["a", "b", 1, 2, 3]


@ENGINES
def test_a_cycle_runs_until_its_edge_leads_out(engine: str) -> None:
    program = small({"a": lambda s: {"n": s["n"] + 1}}, branches={"a": lambda s: "a" if s["n"] < 4 else END})
    assert run(engine, ask(program, {"n": 0})).value["n"] == 4


@ENGINES
def test_a_command_changes_the_state_and_adds_destinations(engine: str) -> None:
    program = small(
        {
            "a": in_color(engine, lambda s: Command(update={"log": ["a"]}, goto=["b", Send("c", {"n": 9})])),
            "b": logs("b"),
            "c": lambda s: {"log": [s["n"]]},
        }
    )
    assert run(engine, ask(program, {})).value["log"] == ["a", "b", 9]


@ENGINES
def test_the_last_output_counts_where_later_steps_write_nothing(engine: str) -> None:
    """A step that writes no output key is no output."""
    program = line("a", "b", b=lambda s: None)
    assert run(engine, ask(program, {"n": 1})).value == {"n": 1, "log": ["a"]}


@ENGINES
def test_no_output_at_all_is_none(engine: str) -> None:
    assert run(engine, ask(line("a", a=lambda s: None), {})).value is None


# ------------------------------------------------------------ what cannot run


@ENGINES
def test_nothing_to_run_and_nothing_to_resume(engine: str) -> None:
    for saver in (None, InMemorySaver()):
        with pytest.raises(EmptyInputError, match="Received no input for __start__"):
            run(engine, ask(line("a"), None, on(), saver))


@ENGINES
def test_two_values_for_one_key_stop_the_run_where_it_was(engine: str) -> None:
    """The checkpoint before the superstep stays the head, and both tasks' writes are kept."""
    program, saver = side_by_side(a=lambda s: {"n": 1}, b=lambda s: {"n": 2}), InMemorySaver()
    with pytest.raises(InvalidUpdateError, match="At key 'n': Can receive only one value per step"):
        run(engine, ask(program, {"n": 0}, on(), saver))
    saved = saver.get_tuple(on())
    assert saved is not None
    assert saved.metadata["step"] == 0
    assert sorted(value for _, _, value in saved.pending_writes or ()) == [1, 2]


@ENGINES
@pytest.mark.parametrize(("limit", "enough"), [(2, False), (3, False), (4, True)])
def test_a_run_ends_when_its_budget_of_supersteps_is_used_up(engine: str, limit: int, enough: bool) -> None:
    """START takes one, and one must be left to see that nothing follows; what was done is kept."""
    program, saver = line("a", "b", "c"), InMemorySaver()
    request = ask(program, {"n": 1}, {**on(), "recursion_limit": limit}, saver)
    if enough:
        assert run(engine, request).value["log"] == ["a", "b", "c"]
        return
    with pytest.raises(GraphRecursionError, match=f"Recursion limit of {limit} reached.*; the state is saved"):
        run(engine, request)
    with pytest.raises(GraphRecursionError, match=r"`recursion_limit` config key\.\n"):
        run(engine, ask(program, {"n": 1}, {"recursion_limit": limit}))
    # Another call has a budget of its own.
    assert run(engine, ask(program, None, on(), saver)).value["log"] == ["a", "b", "c"]


# ------------------------------------------------------------ failures


def failing_once(engine: str) -> tuple[Program, list[str]]:
    calls: list[str] = []

    def bad(state: Any) -> Any:
        calls.append("bad")
        if calls.count("bad") == 1:
            raise ValueError("boom")
        return {"log": ["bad"]}

    def fine(state: Any) -> Any:
        calls.append("fine")
        return {"log": ["fine"]}

    return side_by_side(fine=in_color(engine, fine), sad=in_color(engine, bad)), calls


@ENGINES
def test_after_a_failure_only_the_task_that_failed_runs_again(engine: str) -> None:
    """Its sibling's writes were kept, and are applied in the order of names as if nothing had happened."""
    (program, calls), saver = failing_once(engine), InMemorySaver()
    with pytest.raises(ValueError, match="boom"):
        run(engine, ask(program, {"log": ["in"]}, on(), saver))
    halted = state(program, saver)
    assert (halted.values["log"], halted.next) == (["in", "fine"], ("sad",))
    assert [task.error for task in halted.tasks] == [None, "ValueError('boom')"]
    assert run(engine, ask(program, None, on(), saver)).value["log"] == ["in", "fine", "bad"]
    assert sorted(calls) == ["bad", "bad", "fine"]


@ENGINES
def test_a_new_input_gives_up_what_waits(engine: str) -> None:
    """Also what had succeeded beside the failure."""
    (program, calls), saver = failing_once(engine), InMemorySaver()
    with pytest.raises(ValueError, match="boom"):
        run(engine, ask(program, {"log": ["one"]}, on(), saver))
    assert run(engine, ask(program, {"log": ["two"]}, on(), saver)).value["log"] == ["one", "two", "fine", "bad"]
    assert sorted(calls) == ["bad", "bad", "fine", "fine"]


@ENGINES
def test_the_same_run_id_goes_on_instead_of_starting_again(engine: str) -> None:
    """A submission that comes twice does no work twice: its input is not applied again."""
    (program, _), saver = failing_once(engine), InMemorySaver()
    config = {**on(), "metadata": {"run_id": "r1"}}
    with pytest.raises(ValueError, match="boom"):
        run(engine, ask(program, {"log": ["in"]}, config, saver))
    assert run(engine, ask(program, {"log": ["in"]}, config, saver)).value["log"] == ["in", "fine", "bad"]


# ------------------------------------------------------------ drains


@ENGINES
def test_a_run_that_is_asked_to_stop_stops_between_supersteps(engine: str) -> None:
    control, saver = RunControl(), InMemorySaver()

    def a(state: Any) -> Any:
        control.request_drain("deploy")
        return {"log": ["a"]}

    program = line("a", "b", a=a)
    with pytest.raises(GraphDrained, match="deploy"):
        run(engine, ask(program, {}, on(), saver, control=control))
    assert state(program, saver).next == ("b",)
    assert run(engine, ask(program, None, on(), saver)).value["log"] == ["a", "b"]


@ENGINES
def test_nodes_can_ask_their_own_run_to_stop(engine: str) -> None:
    def a(state: Any, runtime: Runtime[None]) -> Any:
        assert runtime.control is not None
        runtime.control.request_drain()

    with pytest.raises(GraphDrained, match="shutdown"):
        run(engine, ask(line("a", "b", a=a), {}))


# ------------------------------------------------------------ questions


def asking(engine: str, *questions: Any) -> Any:
    return in_color(engine, lambda s: {"log": [interrupt(question) for question in questions]})


@ENGINES
def test_a_question_stops_the_run_until_it_is_answered(engine: str) -> None:
    program, saver = line("a", "q", "z", q=asking(engine, "first", {"second": 2})), InMemorySaver()
    one = run(engine, ask(program, {}, on(), saver))
    assert one.value == {"log": ["a"]}
    assert [each.value for each in one.interrupts] == ["first"]
    two = run(engine, ask(program, Command(resume="A"), on(), saver))
    assert [each.value for each in two.interrupts] == [{"second": 2}]
    assert two.interrupts[0].id != one.interrupts[0].id
    three = run(engine, ask(program, Command(resume={"an": "answer"}), on(), saver))
    assert (three.value["log"], three.interrupts) == (["a", "A", {"an": "answer"}, "z"], ())


@ENGINES
def test_who_asks_again_without_an_answer_gets_the_same_question(engine: str) -> None:
    program, saver = line("q", q=asking(engine, "first", "second")), InMemorySaver()
    one = run(engine, ask(program, {}, on(), saver))
    assert run(engine, ask(program, None, on(), saver)).interrupts == one.interrupts
    two = run(engine, ask(program, Command(resume=1), on(), saver))
    assert run(engine, ask(program, None, on(), saver)).interrupts == two.interrupts
    assert run(engine, ask(program, Command(resume=2), on(), saver)).value["log"] == [1, 2]


@ENGINES
def test_siblings_of_a_question_finish(engine: str) -> None:
    """Their writes show in the output and in the state, and they do not run again."""
    program, saver = side_by_side(a=logs("a"), q=asking(engine, "?")), InMemorySaver()
    assert run(engine, ask(program, {"log": ["in"]}, on(), saver)).value["log"] == ["in", "a"]
    waiting = state(program, saver)
    assert (waiting.values["log"], waiting.next) == (["in", "a"], ("q",))
    assert [each.value for each in waiting.interrupts] == ["?"]
    assert run(engine, ask(program, Command(resume="!"), on(), saver)).value["log"] == ["in", "a", "!"]


@ENGINES
def test_several_questions_are_answered_by_id(engine: str) -> None:
    """Some or all of them; one answer for several is refused; an id that nobody has is left alone."""
    program = side_by_side(a=asking(engine, "a?"), b=asking(engine, "b?"))
    saver = InMemorySaver()
    questions = {each.value: each.id for each in run(engine, ask(program, {}, on(), saver)).interrupts}
    for expected in (UnknownInterruptError, RuntimeError):
        with pytest.raises(expected, match="When there are multiple pending interrupts"):
            run(engine, ask(program, Command(resume="x"), on(), saver))
    unknown = run(engine, ask(program, Command(resume={"0" * 32: "x"}), on(), saver))
    assert len(unknown.interrupts) == 2
    left = run(engine, ask(program, Command(resume={questions["b?"]: "B"}), on(), saver))
    assert [each.value for each in left.interrupts] == ["a?"]
    assert run(engine, ask(program, Command(resume="A"), on(), saver)).value["log"] == ["A", "B"]


@ENGINES
def test_a_strict_resume_refuses_ids_that_nobody_has(engine: str) -> None:
    program, saver = line("q", q=asking(engine, "?")), InMemorySaver()
    run(engine, ask(program, {}, on(), saver))
    strict = on("t", __pregel_strict_resume=True)
    with pytest.raises(UnknownInterruptError, match="Unknown or already-consumed interrupt: 0000") as caught:
        run(engine, ask(program, Command(resume={"0" * 32: "x"}), strict, saver))
    assert caught.value.reason == "not_pending"


@ENGINES
def test_without_a_saver_a_question_can_be_asked_but_not_answered(engine: str) -> None:
    program = line("q", q=asking(engine, "?"))
    assert run(engine, ask(program, {})).interrupts[0].value == "?"
    with pytest.raises(RuntimeError, match="Cannot use Command"):
        run(engine, ask(program, Command(resume="x")))


@ENGINES
def test_an_answer_given_early_is_taken_by_the_next_question(engine: str) -> None:
    """As when a run stopped at a breakpoint before the node that asks."""
    program, saver = line("q", q=asking(engine, "?")), InMemorySaver()
    run(engine, ask(program, {}, on(), saver, interrupt_before=["q"]))
    assert run(engine, ask(program, Command(resume="early"), on(), saver)).value["log"] == ["early"]


# ------------------------------------------------------------ commands from outside


@ENGINES
def test_a_command_from_outside_changes_the_state_and_goes_somewhere(engine: str) -> None:
    program, saver = line("a", "b"), InMemorySaver()
    run(engine, ask(program, {}, on(), saver))
    request = ask(program, Command(update={"log": ["outside"]}, goto="b"), on(), saver)
    assert run(engine, request).value["log"] == ["a", "b", "outside", "b"]


@ENGINES
def test_answer_and_change_in_one_command(engine: str) -> None:
    program, saver = line("q", q=in_color(engine, lambda s: {"log": [interrupt("?"), s["n"]]})), InMemorySaver()
    run(engine, ask(program, {"n": 1}, on(), saver))
    assert run(engine, ask(program, Command(resume="r", update={"n": 42}), on(), saver)).value["log"] == ["r", 42]


@ENGINES
def test_commands_from_outside_add_up_until_the_superstep_ends(engine: str) -> None:
    """Each is stored with those before it."""
    program, saver = line("q", q=asking(engine, "?")), InMemorySaver()
    run(engine, ask(program, {}, on(), saver))
    for text in ("one", "two"):
        run(engine, ask(program, Command(update={"log": [text]}), on(), saver))
    assert state(program, saver).values["log"] == ["one", "two"]
    assert run(engine, ask(program, Command(resume="!"), on(), saver)).value["log"] == ["one", "two", "!"]


@ENGINES
def test_an_empty_command_is_nothing_to_do(engine: str) -> None:
    program, saver = line("a"), InMemorySaver()
    run(engine, ask(program, {}, on(), saver))
    with pytest.raises(EmptyInputError, match="Received empty Command input"):
        run(engine, ask(program, Command(), on(), saver))
    with pytest.raises(InvalidUpdateError, match="There is no parent graph"):
        run(engine, ask(program, Command(graph=Command.PARENT, goto="a"), on(), saver))


# ------------------------------------------------------------ breakpoints


@ENGINES
def test_breakpoints_stop_before_and_after_a_node(engine: str) -> None:
    program = line("a", "b", "c")
    saver, stops = InMemorySaver(), {"interrupt_before": ["b"], "interrupt_after": ["b"]}
    run(engine, ask(program, {}, on(), saver, **stops))
    assert state(program, saver).next == ("b",)
    run(engine, ask(program, None, on(), saver, **stops))
    assert state(program, saver).next == ("c",)
    assert run(engine, ask(program, None, on(), saver, **stops)).value["log"] == ["a", "b", "c"]


@ENGINES
def test_a_star_stops_at_every_node_but_start(engine: str) -> None:
    program, saver = line("a", "b"), InMemorySaver()
    seen = []
    given: Any = {}
    for _ in range(3):
        run(engine, ask(program, given, on(), saver, interrupt_before="*"))
        seen.append(state(program, saver).next)
        given = None
    assert seen == [("a",), ("b",), ()]


# ------------------------------------------------------------ savers


@ENGINES
def test_every_superstep_is_a_checkpoint(engine: str) -> None:
    """Each has the one before as its parent; ids sort."""
    program, saver = line("a", "b"), InMemorySaver()
    run(engine, ask(program, {}, on(), saver))
    found = list(States(program, saver).history(on()))
    assert steps(program, saver) == [("loop", 2), ("loop", 1), ("loop", 0), ("input", -1)]
    ids = [snapshot.config["configurable"]["checkpoint_id"] for snapshot in found]
    assert ids == sorted(ids, reverse=True)
    parents = [snapshot.parent_config for snapshot in found]
    assert [parent and parent["configurable"]["checkpoint_id"] for parent in parents] == [*ids[1:], None]


@ENGINES
def test_a_finished_thread_gives_its_state_again(engine: str) -> None:
    program, saver = line("a"), InMemorySaver()
    first = run(engine, ask(program, {"n": 1}, on(), saver))
    assert run(engine, ask(program, None, on(), saver)) == first
    assert len(steps(program, saver)) == 3


@ENGINES
def test_a_thread_goes_on_from_turn_to_turn(engine: str) -> None:
    program, saver = line("a"), InMemorySaver()
    run(engine, ask(program, {"n": 1}, on(), saver))
    assert run(engine, ask(program, {"n": 2}, on(), saver)).value == {"n": 2, "log": ["a", "a"]}
    assert run(engine, ask(program, {"n": 3}, on("other"), saver)).value == {"n": 3, "log": ["a"]}


@ENGINES
@pytest.mark.parametrize("method", ["get_tuple", "put", "put_writes", "get_next_version"])
def test_a_savers_errors_reach_the_caller(engine: str, method: str) -> None:
    def boom(self: Any, *args: Any) -> Any:
        raise OSError(f"{method} is broken")

    async def aboom(self: Any, *args: Any) -> Any:
        boom(self)

    broken = type("Broken", (InMemorySaver,), {method: boom, f"a{method}": aboom})
    for program in (line("a"), side_by_side(a=logs("a"), b=logs("b"))):
        with pytest.raises(OSError, match=f"{method} is broken"):
            run(engine, ask(program, {}, on(), broken()))


@ENGINES
def test_a_saver_without_task_paths_is_served_too(engine: str) -> None:
    """Its ``put_writes`` has three parameters."""

    class Older(InMemorySaver):
        def put_writes(self, config: Any, writes: Any, task_id: str) -> None:  # type: ignore[override]
            super().put_writes(config, writes, task_id)

        async def aput_writes(self, config: Any, writes: Any, task_id: str) -> None:  # type: ignore[override]
            super().put_writes(config, writes, task_id)

    class OlderInOneColour(InMemorySaver):
        async def aput_writes(self, config: Any, writes: Any, task_id: str) -> None:  # type: ignore[override]
            super().put_writes(config, writes, task_id)

    for saver in (Older(), OlderInOneColour()):
        assert run(engine, ask(line("a"), {}, on(), saver)).value == {"log": ["a"]}


@ENGINES
def test_exit_durability_stores_once(engine: str) -> None:
    """At the end; at a question or failure with what the tasks of that superstep wrote."""
    program, saver = line("a", "q", "z", q=asking(engine, "?")), InMemorySaver()
    run(engine, ask(program, {}, on(), saver, durability="exit"))
    assert steps(program, saver) == [("loop", 1)]
    assert state(program, saver).interrupts[0].value == "?"
    run(engine, ask(program, Command(resume="!"), on(), saver, durability="exit"))
    assert steps(program, saver) == [("loop", 3), ("loop", 1)]


@ENGINES
def test_exit_durability_keeps_what_finished_beside_a_failure(engine: str) -> None:
    """Of that superstep only: what came before is in the checkpoint."""
    (program, _), saver = failing_once(engine), InMemorySaver()
    with pytest.raises(ValueError, match="boom"):
        run(engine, ask(program, {}, on(), saver, durability="exit"))
    assert state(program, saver).next == ("sad",)
    saved = saver.get_tuple(on())
    assert saved is not None
    assert [value for _, _, value in saved.pending_writes or ()] == [["fine"], "ValueError('boom')"]
    assert run(engine, ask(program, None, on(), saver)).value["log"] == ["fine", "bad"]


@ENGINES
def test_untracked_values_are_in_no_checkpoint(engine: str) -> None:
    """Nor in stored writes, nor in stored Sends; nodes of the same run see them."""
    channels: dict[str, BaseChannel[Any, Any]] = {
        "log": BinaryOperatorAggregate(list, operator.add),
        "n": LastValue(int),
        "handle": UntrackedValue(),
    }
    program = small(
        {
            "a": lambda s: {"handle": object(), "n": 1},
            "b": lambda s: {"log": ["handle" in s]},
            "w": lambda s: {"log": [sorted(s)]},
        },
        ("a", "b"),
        branches={"b": lambda s: [Send("w", dict(s))]},
        state=channels,
    )
    saver = InMemorySaver()
    value = run(engine, ask(program, {}, on(), saver)).value
    assert value["log"] == [True, ["handle", "log", "n"]]
    assert "handle" not in state(program, saver).values
    run(engine, ask(program, {}, on("2"), saver, interrupt_before=["b"]))
    assert run(engine, ask(program, None, on("2"), saver)).value["log"] == [False, ["log", "n"]]


# ------------------------------------------------------------ going back


@ENGINES
def test_going_back_makes_a_branch(engine: str) -> None:
    """The replayed part hangs on a copy of the old checkpoint; nothing old is changed."""
    program, saver = line("a", "b", "c"), InMemorySaver()
    run(engine, ask(program, {}, on(), saver))
    states = States(program, saver)
    before = list(states.history(on()))
    old = next(snapshot for snapshot in before if snapshot.next == ("b",))
    assert run(engine, ask(program, None, old.config, saver)).value["log"] == ["a", "b", "c"]
    after = list(states.history(on()))
    assert [(s.metadata["source"], s.metadata["step"]) for s in after[:3]] == [("loop", 4), ("loop", 3), ("fork", 2)]
    assert after[2].parent_config == old.config
    assert after[3:] == before


@ENGINES
def test_a_new_input_at_an_old_checkpoint_starts_from_there(engine: str) -> None:
    program, saver = line("a", "b"), InMemorySaver()
    run(engine, ask(program, {"log": ["one"]}, on(), saver))
    old = next(s for s in States(program, saver).history(on()) if s.next == ("b",))
    request = ask(program, {"log": ["two"]}, old.config, saver)
    assert run(engine, request).value["log"] == ["one", "a", "two", "a", "b"]


@ENGINES
def test_an_answer_at_an_old_checkpoint_runs_its_whole_superstep_again(engine: str) -> None:
    """The thread has gone on from there; at its latest checkpoint, siblings that finished would stay finished.

    The new answer counts, also where an old one had been given.
    """
    calls: list[str] = []

    def a(state: Any) -> Any:
        calls.append("a")
        return {"log": ["a"]}

    program, saver = side_by_side(a=a, q=asking(engine, "?")), InMemorySaver()
    run(engine, ask(program, {}, on(), saver))
    latest = state(program, saver).config
    run(engine, ask(program, Command(resume="one"), latest, saver))
    assert calls == ["a"]
    assert run(engine, ask(program, Command(resume="two"), latest, saver)).value["log"] == ["a", "two"]
    assert calls == ["a", "a"]


@ENGINES
def test_going_back_asks_again(engine: str) -> None:
    """The old answer is part of the old line."""
    program, saver = line("q", "z", q=asking(engine, "?")), InMemorySaver()
    run(engine, ask(program, {}, on(), saver))
    run(engine, ask(program, Command(resume="one"), on(), saver))
    old = next(s for s in States(program, saver).history(on()) if s.next == ("q",))
    again = run(engine, ask(program, None, old.config, saver))
    assert [each.value for each in again.interrupts] == ["?"]
    assert run(engine, ask(program, Command(resume="two"), on(), saver)).value["log"] == ["two", "z"]
