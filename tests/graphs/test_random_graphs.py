"""The random graphs themselves: sound, finite, and the same wherever they are built and run."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.graphs.plans import END, START, Plan, plan
from tests.graphs.random_graphs import Api, Graphs, inputs, make

SEEDS = range(300)
#: More supersteps than any plan can take: what needs more does not end.
ENOUGH = 80

pytestmark = pytest.mark.differential


@cache
def peer() -> Api:
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import Command, Send

    return Api(StateGraph, START, END, Send, Command)


def final(seed: int, api: Api | None = None) -> dict[str, Any]:
    config: Any = {"recursion_limit": ENOUGH}
    return dict(make(seed, api).invoke(inputs(seed), config))


@pytest.mark.parametrize("first", range(0, SEEDS.stop, 50))
def test_every_graph_ends_on_the_peer(first: int) -> None:
    for seed in range(first, first + 50):
        state = final(seed, peer())
        assert state["tally"], f"no node of graph {seed} ran"
        assert set(state["tally"]) <= set(plan(seed).nodes)


@pytest.mark.parametrize("first", range(0, SEEDS.stop, 50))
def test_every_graph_ends_in_the_same_state_here(first: int) -> None:
    for seed in range(first, first + 50):
        assert final(seed) == final(seed, peer()), plan(seed)


def test_no_join_waits_in_vain() -> None:
    """A list join whose sources ran only in part when a run ends would have lost work."""
    from langgraph.checkpoint.memory import InMemorySaver

    for seed in SEEDS:
        if not plan(seed).joins:
            continue
        graph = make(seed, peer())
        graph.checkpointer = InMemorySaver()
        config: Any = {"recursion_limit": ENOUGH, "configurable": {"thread_id": "1"}}
        graph.invoke(inputs(seed), config)
        channels = graph.checkpointer.get(config)["channel_values"]
        waiting = {name: value for name, value in channels.items() if name.startswith("join:")}
        # a deferred join keeps its names beside whether the run was otherwise finished
        names = [value[0] if isinstance(value, list | tuple) else value for value in waiting.values()]
        assert not any(names), (plan(seed), waiting)


def test_a_seed_gives_the_same_graph_in_every_process() -> None:
    """Whatever the hash seed of the process: workers build what the submitter built."""
    script = "from tests.graphs.plans import plan; print([plan(seed) for seed in range(50)])"
    root = str(Path(__file__).parents[2])
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": root, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_plans_have_three_to_nine_nodes_all_of_which_something_leads_to() -> None:
    for seed in SEEDS:
        planned = plan(seed)
        assert 3 <= len(planned.nodes) <= 9
        assert _reached(planned) == set(planned.nodes), planned


def _reached(planned: Plan) -> set[str]:
    targets = {target for _, target in planned.edges} | {target for _, target in planned.joins}
    for route in planned.routes.values():
        targets |= {*route.targets, route.back}
    return targets - {START, END, ""}


def test_together_the_graphs_use_all_there_is() -> None:
    kinds: Counter[str] = Counter()
    for seed in SEEDS:
        planned = plan(seed)
        kinds.update(f"{route.kind} by {route.how}" for route in planned.routes.values())
        kinds.update(f"labels {route.labels}" for route in planned.routes.values())
        kinds["join"] += len(planned.joins)
        kinds["defer"] += sum(node.defer for node in planned.nodes.values())
        kinds["deferred join"] += sum(planned.nodes[target].defer for _, target in planned.joins)
        kinds["start decides"] += START in planned.routes
    routes = itertools.product(("pick", "some", "send", "mixed", "loop"), ("edge", "command", "list"))
    ways = [f"{kind} by {how}" for kind, how in routes]
    rare = [name for name in [*ways, "join", "defer", "deferred join", "start decides"] if kinds[name] < 5]
    assert not rare


def test_graphs_are_built_when_asked_for_and_kept() -> None:
    graphs = Graphs()
    assert not graphs
    assert graphs[3] is graphs[3]
    assert graphs[3].name == "random_3"


def test_workers_find_a_thousand_graphs_by_name() -> None:
    from tests.graphs.seeded import COUNT, GRAPHS

    assert [graph.name for graph in GRAPHS] == [f"random_{seed}" for seed in range(COUNT)]
