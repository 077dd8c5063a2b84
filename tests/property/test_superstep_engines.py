"""Random programs on the engines: they agree, and what was stored can be gone on from anywhere."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.constants import END
from distgraph.engine import aio, sync
from distgraph.engine.states import States
from distgraph.superstep.model import Program
from distgraph.types import Command, Send, interrupt
from tests.unit.engine.small import ask, on, small

pytestmark = pytest.mark.property

NAMES = ("a", "b", "c", "d")
#: Supersteps after which every node stops sending anybody anywhere.
HORIZON = 6


@dataclass(frozen=True)
class Plan:
    """What the nodes of one random program do: decided by the node and by how long the log is."""

    routes: tuple[tuple[str, ...], ...]
    sends: tuple[tuple[str, ...], ...]
    asks: frozenset[str]
    edges: frozenset[tuple[str, str]]
    shades: frozenset[str]


plans = st.builds(
    Plan,
    routes=st.lists(st.lists(st.sampled_from(NAMES), max_size=2).map(tuple), min_size=1, max_size=5).map(tuple),
    sends=st.lists(st.lists(st.sampled_from(NAMES), max_size=2).map(tuple), min_size=1, max_size=5).map(tuple),
    asks=st.frozensets(st.sampled_from(NAMES), max_size=2),
    edges=st.frozensets(st.sampled_from([(x, y) for x in NAMES for y in NAMES if x < y]), max_size=3),
    shades=st.frozensets(st.sampled_from(NAMES)),
)


def program(plan: Plan, *, colored: bool = False) -> Program:
    """Nodes in ``shades`` are async where ``colored``."""

    def body(name: str) -> Any:
        def node(state: Any) -> Any:
            log = state.get("log", [])
            entry = f"{name}{len(log)}{state.get('item', '')}"
            if name in plan.asks and len(log) < HORIZON * 2:
                entry += f"={interrupt(entry)}"
            # A Send may run the same node beside this one, and one key takes one value.
            return {"log": [entry], **({"n": len(log)} if name == "a" and "item" not in state else {})}

        async def anode(state: Any) -> Any:
            await asyncio.sleep(0)
            return node(state)

        return anode if colored and name in plan.shades else node

    def choose(name: str) -> Any:
        def route(state: Any) -> Any:
            log = state["log"]
            if len(log) > HORIZON or state.get("n", 0) > HORIZON:
                return END
            turn = len(log) + NAMES.index(name)
            sends = plan.sends[turn % len(plan.sends)]
            return [*plan.routes[turn % len(plan.routes)], *(Send(to, {"item": turn}) for to in sends)]

        return route

    return small(
        {name: body(name) for name in NAMES},
        ("__start__", "a"),
        ("__start__", "b"),
        *sorted(plan.edges),
        branches={name: choose(name) for name in NAMES},
    )


def finish(of: Program, saver: InMemorySaver, given: Any, config: Any, engine: str = "sync") -> Any:
    """Run to the end, answering every question with its own text."""
    for _ in range(60):
        request = ask(of, given, {**config, "recursion_limit": 40}, saver)
        result = sync.run(request) if engine == "sync" else asyncio.run(aio.run(request))
        if not result.interrupts:
            return result.value
        given, config = Command(resume={each.id: each.value.upper() for each in result.interrupts}), on()
    raise AssertionError("the run asks without end")


def history(of: Program, saver: InMemorySaver) -> list[Any]:
    return [
        (snapshot.metadata["source"], snapshot.metadata["step"], snapshot.values, snapshot.next)
        for snapshot in States(of, saver).history(on())
    ]


@given(plans)
@settings(max_examples=40)
def test_both_engines_do_the_same(plan: Plan) -> None:
    """Same output, same history; whatever the colour of the nodes."""
    of = program(plan)
    saver, asaver = InMemorySaver(), InMemorySaver()
    value = finish(of, saver, {"log": []}, on())
    colored = program(plan, colored=True)
    assert finish(colored, asaver, {"log": []}, on(), "aio") == value
    assert history(colored, asaver) == history(of, saver)


@given(plans)
@settings(max_examples=40)
def test_a_run_without_a_saver_gives_the_same(plan: Plan) -> None:
    """Also in one process without checkpoints, for programs that ask nothing."""
    of = program(Plan(plan.routes, plan.sends, frozenset(), plan.edges, plan.shades))
    expected = finish(of, InMemorySaver(), {"log": []}, on())
    assert sync.run(ask(of, {"log": []}, {"recursion_limit": 40})).value == expected


@given(plans, st.data())
@settings(max_examples=40)
def test_a_run_can_be_gone_on_with_from_any_checkpoint(plan: Plan, data: Any) -> None:
    """Whatever was done after it: the end is the same, and so is what is stored on the way."""
    of, saver = program(plan), InMemorySaver()
    value = finish(of, saver, {"log": []}, on())
    snapshots = list(States(of, saver).history(on()))
    start = data.draw(st.sampled_from(snapshots))
    assert finish(of, saver, None, start.config) == value


@given(plans, st.data())
@settings(max_examples=40)
def test_a_thread_that_lost_its_newest_checkpoints_ends_the_same(plan: Plan, data: Any) -> None:
    """As after a roll-back of whatever kept them: with the writes of finished tasks, or without."""
    of, saver = program(plan), InMemorySaver()
    value = finish(of, saver, {"log": []}, on())
    stored = saver.storage["t"][""]
    kept = data.draw(st.integers(1, len(stored)))
    lost = sorted(stored)[kept:]
    for cid in lost:
        del stored[cid]
        saver.writes.pop(("t", "", cid), None)
    head = ("t", "", max(stored))
    if data.draw(st.booleans()) and head in saver.writes:
        task_id = data.draw(st.sampled_from(sorted(saver.writes[head])))
        del saver.writes[head][task_id]
    assert finish(of, saver, None, on()) == value
