"""Random graphs by seed: final states, streams and histories on the peer and here."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.differential.harness import OURS, PEER, observe
from tests.differential.harness import Api as Library
from tests.graphs.plans import plan
from tests.graphs.random_graphs import Api, inputs, make

pytestmark = pytest.mark.differential

SEEDS = range(300)
CHUNK = 20


def api_of(library: Library) -> Api:
    return Api(library.StateGraph, library.START, library.END, library.Send, library.Command)


def final_state(library: Library, seed: int) -> Any:
    return make(seed, api_of(library)).invoke(inputs(seed))


def final_state_under_an_event_loop(library: Library, seed: int) -> Any:
    return asyncio.run(make(seed, api_of(library)).ainvoke(inputs(seed)))


def streams(library: Library, seed: int) -> Any:
    """Updates of one superstep come in the order in which its tasks finish: that order is not compared."""
    graph = make(seed, api_of(library))
    steps: list[Any] = [[]]
    for mode, chunk in graph.stream(inputs(seed), stream_mode=["updates", "values"]):
        if mode == "updates":
            steps[-1].append(chunk)
        else:
            steps[-1].sort(key=repr)
            steps += [chunk, []]
    return steps


def history(library: Library, seed: int) -> Any:
    """The recorded states.

    What ran next is left out where nodes join: the peer's saver keeps the very set in which a join collects its
    sources, so that an old state shows sources that came later.
    """
    config = {"configurable": {"thread_id": str(seed)}}
    graph = make(seed, api_of(library))
    graph.checkpointer = library.InMemorySaver()
    shown = (lambda names: None) if plan(seed).joins else sorted
    graph.invoke(inputs(seed), config)
    return [
        (snapshot.values, shown(snapshot.next), snapshot.metadata["source"], snapshot.metadata["step"])
        for snapshot in graph.get_state_history(config)
    ]


def compare(seed: int, observation: Any) -> None:
    peer = observe(lambda library: observation(library, seed), PEER)
    ours = observe(lambda library: observation(library, seed), OURS)
    assert ours == peer, f"seed {seed}"


@pytest.mark.parametrize("first", SEEDS[::CHUNK])
@pytest.mark.parametrize("observation", [final_state, final_state_under_an_event_loop, streams, history])
def test_random_graphs_agree(observation: Any, first: int) -> None:
    for seed in range(first, first + CHUNK):
        compare(seed, observation)
