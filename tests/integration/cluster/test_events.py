"""Random graphs to which things happen, on two workers: turn by turn what one process does.

22 of the 1,000 graphs by default; all of them with DISTGRAPH_FULL=1.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.types import Placement
from tests.graphs.events import converse, make
from tests.graphs.happenings import ASKING, COUNT, GRAPHS
from tests.graphs.plans import plan
from tests.graphs.random_graphs import distgraph_api
from tests.integration.cluster.at_rest import wait_at_rest

FULL = os.environ.get("DISTGRAPH_FULL") == "1"
#: Graphs that once came out otherwise on workers.
FOUND = (323, 546)
SEEDS = range(COUNT) if FULL else (*range(0, COUNT, 50), *FOUND)

# Seconds, for many graphs one after another: how many a busy machine gets done in a minute is nothing to fail for.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(3600 if FULL else 300),
    # Some of the graphs hand a nested one more than it knows: here that is said in process, on workers in their logs.
    pytest.mark.filterwarnings("ignore:unknown-key"),
]


@pytest.fixture(scope="module")
def fleet(server_binary: str) -> Iterator[EmbeddedCluster]:
    with Cluster.embedded(workers=2, graphs=["tests.graphs.happenings"]) as running:
        yield running


@pytest.mark.parametrize("placement", get_args(Placement))
def test_conversations(fleet: EmbeddedCluster, placement: Placement) -> None:
    for seed in SEEDS:
        here = in_process(seed)
        remote = fleet.bind(GRAPHS[seed], placement=placement)
        thread = f"{placement}-{seed}"
        assert told(remote, seed, thread) == told(here, seed, thread), plan(seed)
        assert history(remote, thread) == history(here, thread), plan(seed)
    wait_at_rest(fleet)


def in_process(seed: int) -> Any:
    graph = make(plan(seed), distgraph_api(), ASKING)
    graph.checkpointer = InMemorySaver()
    return graph


def told(app: Any, seed: int, thread: str) -> list[Any]:
    return list(converse(app, distgraph_api(), seed, thread, running(app)))


def running(app: Any) -> Callable[[Any, Any], Any]:
    def run(given: Any, where: Any) -> Any:
        result = app.invoke(given, where)
        asked = sorted(each.value for each in result.pop("__interrupt__", ()))
        return result, asked

    return run


def history(app: Any, thread: str) -> list[Any]:
    where: Any = {"configurable": {"thread_id": thread}}
    return [(s.values, s.next, s.metadata["step"], s.metadata["source"]) for s in app.get_state_history(where)]
