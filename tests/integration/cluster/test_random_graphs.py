"""Random graphs, wherever their nodes run: the same final state, checkpoint by checkpoint, as in one process.

59 of the 1,000 graphs by default; all of them with DISTGRAPH_FULL=1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.types import Placement
from tests.graphs.random_graphs import inputs, make
from tests.graphs.seeded import COUNT, GRAPHS
from tests.integration.cluster.at_rest import wait_at_rest

FULL = os.environ.get("DISTGRAPH_FULL") == "1"
SEEDS = range(COUNT) if FULL else range(0, COUNT, 17)
#: Runs that are submitted together.
PORTION = 50

# Seconds, for many graphs one after another: each wait among them has an end of its own, and says what it is for.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800 if FULL else 300)]


@pytest.fixture(scope="module")
def fleet(server_binary: str) -> Iterator[EmbeddedCluster]:
    with Cluster.embedded(workers=2, graphs=["tests.graphs.seeded"]) as running:
        yield running


@pytest.mark.parametrize("placement", get_args(Placement))
def test_runs(fleet: EmbeddedCluster, placement: Placement) -> None:
    """Single runs: their results, and every checkpoint on the way."""
    for first in range(0, len(SEEDS), PORTION):
        seeds = SEEDS[first : first + PORTION]
        bound = {seed: fleet.bind(GRAPHS[seed], placement=placement) for seed in seeds}
        runs = {seed: bound[seed].submit(inputs(seed)) for seed in seeds}
        for seed in seeds:
            here = make(seed)
            here.checkpointer = InMemorySaver()
            where: Any = {"configurable": {"thread_id": runs[seed].thread_id}}
            assert runs[seed].result(60) == here.invoke(inputs(seed), where), seed
            assert history(bound[seed], where) == history(here, where), seed
    wait_at_rest(fleet)


@pytest.mark.parametrize("placement", get_args(Placement))
def test_batches(fleet: EmbeddedCluster, placement: Placement) -> None:
    """Each graph as a small batch of the same item: late bound, in slices, promoted where tasks travel."""
    for first in range(0, len(SEEDS), PORTION):
        seeds = SEEDS[first : first + PORTION]
        items = 2
        batches = {
            seed: fleet.bind(GRAPHS[seed], placement=placement).submit_batch([inputs(seed)] * items) for seed in seeds
        }
        for seed, batch in batches.items():
            assert batch.wait(60).done == items, (seed, list(batch.failures()))
            assert [result.value for result in batch.results()] == [GRAPHS[seed].invoke(inputs(seed))] * items, seed
            batch.delete()
    wait_at_rest(fleet)


def history(graph: Any, where: Any) -> list[Any]:
    """(values, next nodes, superstep, source) of every checkpoint, the newest first."""
    return [(s.values, s.next, s.metadata["step"], s.metadata["source"]) for s in graph.get_state_history(where)]
