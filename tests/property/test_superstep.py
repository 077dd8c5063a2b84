"""One superstep as algebra, for random programs and writes."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distgraph.channels import (
    AnyValue,
    BaseChannel,
    BinaryOperatorAggregate,
    EphemeralValue,
    LastValueAfterFinish,
    NamedBarrierValue,
    NamedBarrierValueAfterFinish,
    Topic,
)
from distgraph.constants import BRANCH_TO, INTERRUPT, NO_WRITES, RESUME, TASKS
from distgraph.superstep.apply import apply_writes, count_up
from distgraph.superstep.identity import path_key
from distgraph.superstep.model import EMPTY, Checkpoint, Node, Program, Task, make_program
from distgraph.superstep.plan import plan, task_at
from distgraph.superstep.resume import give_answers
from distgraph.types import MISSING, Interrupt, Send

pytestmark = pytest.mark.property

NAMES = ("a", "b", "c", "d")


def make() -> Program:
    """Four nodes, and one channel of every kind."""
    triggers: dict[str, list[str]] = {name: [BRANCH_TO + name] for name in NAMES}
    triggers["c"].append("join")
    triggers["d"].append("late")
    triggers["a"].append("late join")
    channels: dict[str, BaseChannel[Any, Any]] = {
        "log": BinaryOperatorAggregate(list, operator.add),
        "sum": BinaryOperatorAggregate(int, operator.add),
        "any": AnyValue(),
        "topic": Topic(accumulate=True),
        "join": NamedBarrierValue(str, {"a", "b"}),
        "late": LastValueAfterFinish(),
        "late join": NamedBarrierValueAfterFinish(str, {"a", "b"}),
        TASKS: Topic(),
        **{BRANCH_TO + name: EphemeralValue(guard=False) for name in NAMES},
    }
    nodes = {
        name: Node(name=name, triggers=tuple(wakes), reads=("log",), action=None, writer=lambda output: [])
        for name, wakes in triggers.items()
    }
    return make_program("p", nodes, channels, inputs=("log",), outputs=("log",), streamed=("log",))


PROGRAM = make()

writes = st.lists(
    st.one_of(
        st.tuples(st.just("log"), st.lists(st.integers(0, 9), max_size=2)),
        st.tuples(st.just("sum"), st.integers(-5, 5)),
        st.tuples(st.just("any"), st.integers()),
        st.tuples(st.just("topic"), st.integers()),
        st.tuples(st.sampled_from(["join", "late join"]), st.sampled_from(["a", "b"])),
        st.tuples(st.just("late"), st.integers()),
        st.tuples(st.sampled_from([BRANCH_TO + name for name in NAMES]), st.none()),
        st.tuples(st.just(TASKS), st.builds(Send, st.sampled_from(NAMES), st.integers())),
        st.just((NO_WRITES, None)),
    ),
    max_size=4,
)
#: Writes of the n-th task to run, over the whole run.
scripts = st.lists(writes, min_size=1, max_size=30)


def begin(first: list[Any]) -> Checkpoint:
    task = Task(None, (), (), EMPTY, name="input")
    task.writes = [*first, (BRANCH_TO + "a", None), (BRANCH_TO + "b", None)]
    return apply_writes(PROGRAM, EMPTY, [task], count_up, new_id="c0")


def supersteps(script: list[list[Any]], limit: int = 8) -> list[tuple[Checkpoint, list[Task]]]:
    """Every superstep of a run whose tasks write what the script says, in turn."""
    at, index, found = begin(script[0]), 1, []
    for number in range(limit):
        tasks = plan(PROGRAM, at)
        if not tasks:
            break
        for task in tasks:
            task.writes = list(script[index % len(script)])
            index += 1
        found.append((at, tasks))
        at = apply_writes(PROGRAM, at, tasks, count_up, new_id=f"c{number + 1}")
    return found


@given(scripts, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(script: list[list[Any]], chance: Any) -> None:
    """However the tasks of a superstep are handed over, the checkpoint is the same to the last version."""
    for at, tasks in supersteps(script):
        expected = apply_writes(PROGRAM, at, tasks, count_up, new_id="next")
        shuffled = list(tasks)
        chance.shuffle(shuffled)
        assert apply_writes(PROGRAM, at, shuffled, count_up, new_id="next") == expected


@given(scripts)
def test_a_checkpoint_is_consistent(script: list[list[Any]]) -> None:
    """Versions and values go together, versions only grow, nothing that was there is changed in place."""
    for at, tasks in supersteps(script):
        before = (dict(at.values), dict(at.versions), {name: dict(seen) for name, seen in at.seen.items()})
        after = apply_writes(PROGRAM, at, tasks, count_up, new_id="next")
        assert (dict(at.values), dict(at.versions), {n: dict(s) for n, s in at.seen.items()}) == before
        assert set(after.values) == set(after.versions)
        assert all(value is not MISSING for value in after.values.values())
        assert after.clock > at.clock
        assert max(after.versions.values(), default=0) <= after.clock
        for name, version in after.versions.items():
            assert version == after.clock or at.versions.get(name) == version
        assert after.updated is not None
        assert after.updated <= set(after.values)


@given(scripts)
def test_a_worker_plans_the_same_task_alone(script: list[list[Any]]) -> None:
    """Ids are unique in a superstep, tasks are the same without the hint of what changed, and one can be had alone."""
    for at, tasks in supersteps(script):
        ids = [task.id for task in tasks]
        assert len(set(ids)) == len(ids)
        assert sorted(task.id for task in plan(PROGRAM, at._replace(updated=None))) == sorted(ids)
        for task in tasks:
            alone = task_at(PROGRAM, at, task.path)
            assert alone is not None
            assert (alone.id, alone.arg) == (task.id, task.arg)


@given(scripts)
def test_nothing_runs_twice_for_one_wake(script: list[list[Any]]) -> None:
    """After a superstep whose tasks wrote nothing, only what waits for the end can follow; then the run is over."""
    for at, tasks in supersteps(script):
        for task in tasks:
            task.writes = [(NO_WRITES, None)]
        quiet = apply_writes(PROGRAM, at, tasks, count_up, new_id="quiet")
        deferred = plan(PROGRAM, quiet)
        assert {task.name for task in deferred} <= {"a", "d"}
        for task in deferred:
            task.writes = [(NO_WRITES, None)]
        assert plan(PROGRAM, apply_writes(PROGRAM, quiet, deferred, count_up, new_id="end")) == []


@given(
    st.lists(st.integers(0, 10_000), unique=True, min_size=2), st.lists(st.text("abcXYZ_-", min_size=1), unique=True)
)
def test_paths_sort_by_number_and_name(numbers: list[int], names: list[str]) -> None:
    sends = [("__pregel_push", number, False) for number in sorted(numbers)]
    nodes = [("__pregel_pull", name) for name in sorted(names)]
    assert sorted([*sends[::-1], *nodes[::-1]], key=path_key) == [*nodes, *sends]


@given(st.integers(0, 3), st.integers(0, 3), st.booleans())
def test_an_answer_lands_at_its_question(index: int, stored: int, by_id: bool) -> None:
    """Answers before it stay, whatever was stored after them is replaced."""
    (task, *_) = plan(PROGRAM, begin([]))
    from distgraph.superstep.identity import interrupt_id

    stored = max(stored, index)
    question = Interrupt("?", interrupt_id(task.checkpoint_ns, index))
    pending: Any = {task.id: [(RESUME, list(range(stored))), (INTERRUPT, (question,))]}
    given_ = give_answers([task], pending, {question.id: "new"} if by_id else "new")
    assert given_.tasks == {task.id: [*range(index), "new"]}
