"""Whatever happens on the way, a cluster comes to what one process comes to.

Random graphs on random schedules: hints are lost, repeated, late and out of order; processes and whole workers die at any
point, stand still and come back as zombies; replies of the server are lost; and the server itself goes back to what it
had saved. The final state is that of the graph in one process, and every item of a batch has exactly one row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distgraph.testing import Faults, InProcessCluster
from distgraph.types import Placement
from tests.graphs.random_graphs import graphs, inputs

pytestmark = pytest.mark.property


class Mishap(NamedTuple):
    """What happens at the ``nth`` point from the start, and for how many steps."""

    kind: str
    nth: int
    steps: int = 0


class Schedule(NamedTuple):
    """One way of things to go."""

    graph: int = 0
    input: int = 0
    seed: int = 0
    faults: Faults = Faults()
    placement: Placement = "auto"
    keep: str = "all"
    items: int = 3
    mishaps: tuple[Mishap, ...] = ()
    #: Steps before the server saves, and steps after which it loses all since; None: it never does.
    roll_back: tuple[int, int] | None = None


PLACEMENTS: tuple[Placement, ...] = ("auto", "spread", "local")
chances = st.sampled_from([0.0, 0.0, 0.1, 0.4])
mishaps = st.builds(
    Mishap,
    st.sampled_from(["child dies", "worker dies", "stands still", "reply is lost"]),
    st.integers(1, 80),
    st.sampled_from([1, 5, 30]),
)
schedules = st.builds(
    Schedule,
    graph=st.integers(0, 99),
    input=st.integers(0, 4),
    seed=st.integers(0, 2**16),
    faults=st.builds(
        Faults,
        lose=chances,
        repeat=chances,
        delay=chances,
        shuffle=st.booleans(),
        node_ms=st.sampled_from([0, 3, 15, 150]),
    ),
    placement=st.sampled_from(PLACEMENTS),
    keep=st.sampled_from(["all", "latest"]),
    items=st.sampled_from([1, 3, 8]),
    # No more than may die before an item is taken for poison.
    mishaps=st.lists(mishaps, max_size=2).map(tuple),
    roll_back=st.none() | st.tuples(st.integers(0, 8), st.integers(1, 20)),
)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Deaths are warned of; here they are the rule."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def prepare(cluster: InProcessCluster, mishap: Mishap) -> None:
    deeds: dict[str, Callable[[], None]] = {
        "child dies": lambda: cluster.crash_at(nth=mishap.nth),
        "worker dies": lambda: cluster.crash_at(nth=mishap.nth, tree=True),
        "stands still": lambda: cluster.stall_at(nth=mishap.nth, steps=mishap.steps),
        "reply is lost": lambda: cluster.fail_at(nth=mishap.nth),
    }
    deeds[mishap.kind]()


def play(schedule: Schedule) -> tuple[InProcessCluster, Any, Any]:
    """(cluster, run, batch) after everything that was to happen has happened."""
    cluster = InProcessCluster([graphs[schedule.graph]], slots=3, seed=schedule.seed, faults=schedule.faults)
    graph, given = graphs[schedule.graph], inputs(schedule.input)
    run = cluster.submit(graph, given, placement=schedule.placement, keep=schedule.keep)
    batch = cluster.submit_batch(graph, [given] * schedule.items, placement=schedule.placement)
    for mishap in schedule.mishaps:
        prepare(cluster, mishap)
    if schedule.roll_back is not None:
        before, after = schedule.roll_back
        _ = [cluster.turn() for _ in range(before)]
        saved = cluster.memory.snapshot()
        _ = [cluster.turn() for _ in range(after)]
        cluster.memory.restore(saved)
    cluster.run_until_idle(20_000)
    return cluster, run, batch


# Three tests of a third each: all at once take most of a test's time limit where the machine is busy.
@pytest.mark.parametrize("placement", PLACEMENTS)
@settings(max_examples=settings().max_examples // len(PLACEMENTS))
# What once failed is tried for ever.
@example(schedule=Schedule(mishaps=(Mishap("reply is lost", 20),)))  # a living slot kept what it could not go on with
@example(schedule=Schedule(mishaps=(Mishap("reply is lost", 3),)))
@example(schedule=Schedule(mishaps=(Mishap("reply is lost", 46),), keep="all", items=1))  # where nothing was asked
@given(schedule=schedules)
def test_a_cluster_comes_to_what_one_process_comes_to(placement: Placement, schedule: Schedule) -> None:
    schedule = schedule._replace(placement=placement)
    cluster, run, batch = play(schedule)
    wanted = graphs[schedule.graph].invoke(inputs(schedule.input))
    assert run.result(0) == wanted
    rows = list(batch.results())
    assert [row.index for row in rows] == list(range(schedule.items))
    assert [row.value for row in rows] == [wanted] * schedule.items
    status = batch.status()
    assert (status.done, status.failed, status.finished) == (schedule.items, 0, True)
    assert not any(cluster.memory.state.due.values()), "what is at rest owes nothing"


@settings(max_examples=20)
@given(schedules)
def test_a_schedule_can_be_played_again(schedule: Schedule) -> None:
    """The seed decides everything: what fails once fails again."""
    ends = [play(schedule._replace(items=1)) for _ in range(2)]
    clocks = [(cluster.clock.ms(), cluster.broker.lost, cluster.deaths) for cluster, _, _ in ends]
    assert clocks[0] == clocks[1]
