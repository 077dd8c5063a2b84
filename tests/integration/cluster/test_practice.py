"""The programs of `tests/graphs/practice` on two workers: what they see is what they see in one process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest

from distgraph.cache.memory import InMemoryCache
from distgraph.checkpoint.memory import InMemorySaver
from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import UnknownInterruptError
from distgraph.store.memory import InMemoryStore
from distgraph.types import Command, Placement
from tests.differential.harness import OURS, observe
from tests.graphs.practice import PROGRAMS
from tests.graphs.served_practice import GRAPHS
from tests.integration.cluster.at_rest import wait_at_rest

pytestmark = pytest.mark.integration

SERVED = {graph.name: graph for graph in GRAPHS}


@pytest.fixture(scope="module")
def fleet(server_binary: str) -> Iterator[EmbeddedCluster]:
    with Cluster.embedded(workers=2, graphs=["tests.graphs.served_practice"]) as running:
        yield running


@pytest.mark.parametrize("placement", get_args(Placement))
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_on_workers(fleet: EmbeddedCluster, name: str, placement: Placement) -> None:
    for item in fleet.store.search(()):
        fleet.store.delete(item.namespace, item.key)
    make, use = PROGRAMS[name]
    here = make(OURS).compile(checkpointer=InMemorySaver(), store=InMemoryStore(), cache=InMemoryCache())
    bound = _Apart(fleet.bind(SERVED[name], placement=placement), f"{name}-{placement}")
    assert observe(lambda api: use(bound, api), OURS) == observe(lambda api: use(here, api), OURS)
    wait_at_rest(fleet)


def test_a_thread_goes_back_with_a_new_input_or_a_run_of_its_own(fleet: EmbeddedCluster) -> None:
    make, _ = PROGRAMS["story"]
    here, remote = make(OURS).compile(checkpointer=InMemorySaver()), fleet.bind(SERVED["story"])

    def told(app: Any) -> Any:
        where: Any = {"configurable": {"thread_id": "back"}}
        app.invoke({"topic": "rain"}, where)
        past = next(state for state in app.get_state_history(where) if state.next == ("third",))
        return app.invoke({"topic": "sun"}, past.config), app.get_state(where).values, past.config

    *seen, past = told(remote)
    assert seen == [*told(here)[:2]]
    again = remote.submit(None, past).result(20)
    assert again["lines"] == [f"{place} line about rain" for place in ("first", "second", "third")]
    with pytest.raises(UnknownInterruptError):
        remote.invoke(Command(resume="x"), past)
    wait_at_rest(fleet)


class _Apart:
    """A bound graph whose threads are apart from those of other tests."""

    def __init__(self, app: Any, prefix: str) -> None:
        self.app, self.prefix = app, prefix

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.app, name)

        def called(*args: Any, **more: Any) -> Any:
            return method(*(self._moved(each) for each in args), **more)

        return called

    def _moved(self, value: Any) -> Any:
        if not (isinstance(value, dict) and "configurable" in value):
            return value
        thread = value["configurable"]["thread_id"].removeprefix(self.prefix)
        return {**value, "configurable": {**value["configurable"], "thread_id": self.prefix + thread}}
