"""Random graphs, served by workers: each gives what it gives in one process, wherever its nodes run.

A slice in every run of the tests; DISTGRAPH_FULL=1 takes all 1,000.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.types import Placement
from tests.graphs.random_graphs import inputs
from tests.graphs.seeded import COUNT, GRAPHS
from tests.integration.cluster.at_rest import wait_at_rest

SEEDS = range(COUNT) if os.environ.get("DISTGRAPH_FULL") else range(0, COUNT, 40)
pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def serving(server_binary: str) -> Iterator[EmbeddedCluster]:
    """Two workers that serve all 1,000 graphs."""
    with Cluster.embedded(workers=2, graphs=("tests.graphs.seeded",)) as running:
        yield running


@pytest.mark.parametrize("placement", get_args(Placement))
def test_the_same_result_wherever_nodes_run(serving: EmbeddedCluster, placement: Placement) -> None:
    differ: dict[int, Any] = {}
    submitted = {
        seed: serving.bind(GRAPHS[seed], placement=placement).submit(inputs(seed), keep="latest", log=False)
        for seed in SEEDS
    }
    for seed, run in submitted.items():
        here, there = GRAPHS[seed].invoke(inputs(seed)), run.result(timeout=500)
        if here != there:
            differ[seed] = (here, there)
    assert differ == {}
    wait_at_rest(serving, timeout=60)
