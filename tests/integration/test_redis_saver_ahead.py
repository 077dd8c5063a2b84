"""Durability "async" with checkpoints on a server: supersteps go on before the server has answered, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.checkpoint.redis import RedisSaver
from distgraph.errors import InputError, ServerUnreachableError
from distgraph.graph import END, START, StateGraph
from distgraph.ledger.connection import connect
from distgraph.ledger.direct import MOST_UNREAD
from distgraph.ledger.server import EmbeddedServer
from tests.integration.saver_graph import CONFIG, State, line_key, opened

pytestmark = pytest.mark.integration

STEPS = 100
LONG: Any = {**CONFIG, "recursion_limit": STEPS + 10}


@pytest.fixture
def saver(redis_url: str, namespace: str) -> Iterator[RedisSaver]:
    with opened(redis_url, namespace) as saver:
        yield saver


def counting(saver: Any, at: Callable[[int], Any] = lambda _: None) -> Any:
    """A loop of ``STEPS`` supersteps; ``at`` is called in each."""

    def count(state: State) -> State:
        at(state["x"])
        return {"x": state["x"] + 1, "log": [state["x"]]}

    builder = StateGraph(State).add_node(count).add_edge(START, "count")
    builder.add_conditional_edges("count", lambda state: "count" if state["x"] < STEPS else END, ["count", END])
    return builder.compile(checkpointer=saver)


def history(graph: Any) -> list[Any]:
    return [(one.values, one.next, one.metadata) for one in graph.get_state_history(CONFIG)]


@pytest.mark.parametrize("durability", ["async", "sync"])
def test_all_of_it_is_there_when_the_run_returns(
    redis_url: str, saver: RedisSaver, namespace: str, durability: Any
) -> None:
    memory = counting(InMemorySaver())
    memory.invoke({"x": 0}, LONG)
    counting(saver).invoke({"x": 0}, LONG, durability=durability)
    with RedisSaver(redis_url, namespace=namespace) as other:
        assert history(counting(other)) == history(memory)


def test_a_node_finds_the_state_that_it_was_given(saver: RedisSaver) -> None:
    """Whoever reads through the same saver is not behind."""
    seen: list[bool] = []

    def look(x: int) -> None:
        state = graph.get_state(CONFIG)
        seen.append(state.values["x"] == x and state.next == ("count",))

    graph = counting(saver, look)
    graph.invoke({"x": 0}, LONG)
    assert seen == [True] * STEPS


def test_a_child_that_a_node_forks_finds_the_state_and_leaves_its_parent_the_replies(saver: RedisSaver) -> None:
    ends: list[int] = []

    def fork(x: int) -> None:
        if x == 5:
            (ahead,) = saver._ledger._ahead
            calls = cast("Any", ahead.calls)
            child = os.fork()
            if child == 0:
                try:
                    signal.alarm(10)
                    calls._lock.acquire()  # as if another OS thread had just held it
                    os._exit(0 if graph.get_state(CONFIG).values["x"] == x else 1)
                finally:
                    os._exit(2)
            ends.append(os.waitpid(child, 0)[1])
            assert calls._unread

    graph = counting(saver, fork)
    assert graph.invoke({"x": 0}, LONG)["x"] == STEPS
    assert ends == [0]


def test_chunks_tell_of_what_is_stored(saver: RedisSaver, redis_url: str, namespace: str) -> None:
    with RedisSaver(redis_url, namespace=namespace) as other:
        for chunk in counting(saver).stream({"x": 0}, LONG, stream_mode="values"):
            found = other.get_tuple(CONFIG)
            assert found is not None
            assert found.checkpoint["channel_values"]["x"] >= chunk["x"]


def test_a_connection_that_is_cut_on_the_way_costs_nothing(saver: RedisSaver, redis_url: str) -> None:
    memory = counting(InMemorySaver())
    memory.invoke({"x": 0}, LONG)
    with connect(redis_url) as other:

        def cut(x: int) -> None:
            if x % 9 == 5:
                for one in other.client_list():
                    if one["name"] == "distgraph-saver":
                        other.client_kill_filter(addr=one["addr"])

        graph = counting(saver, cut)
        graph.invoke({"x": 0}, LONG)
    assert history(graph) == history(memory)


def test_a_server_that_goes_away_ends_the_run() -> None:
    """At once or some supersteps later, with the error that it always was."""
    ran: list[int] = []
    with EmbeddedServer(persistence="memory") as server, RedisSaver(server.url) as saver:

        def stop(x: int) -> None:
            ran.append(x)
            if x == 10:
                server.close()

        with pytest.raises(ServerUnreachableError, match="cannot be reached"):
            counting(saver, stop).invoke({"x": 0}, LONG)
    assert ran[-1] <= 10 + MOST_UNREAD


def test_what_the_server_refuses_ends_the_run(saver: RedisSaver, redis_url: str) -> None:
    """The thread is deleted by another saver while a run goes on from its checkpoints."""
    with RedisSaver(redis_url, namespace=saver._ledger.keys.namespace) as other:
        ran: list[int] = []

        def delete(x: int) -> None:
            ran.append(x)
            if x == 10:
                other.delete_thread("t")

        with pytest.raises(InputError, match="is not there any more"):
            counting(saver, delete).invoke({"x": 0}, LONG)
        assert ran[-1] <= 11 + MOST_UNREAD


KILLED = """
import os, signal, sys
from distgraph.checkpoint.redis import RedisSaver
from tests.integration.test_redis_saver_ahead import LONG, counting

with RedisSaver(sys.argv[1], namespace=sys.argv[2]) as saver:
    counting(saver, lambda x: os.kill(os.getpid(), signal.SIGKILL) if x == 60 else None).invoke({"x": 0}, LONG)
"""


def test_a_process_that_is_killed_goes_on_from_a_late_checkpoint(
    saver: RedisSaver, redis_url: str, namespace: str
) -> None:
    command = [sys.executable, "-c", KILLED, redis_url, namespace]
    assert subprocess.run(command, check=False, timeout=60).returncode < 0
    graph = counting(saver)
    reached = graph.get_state(CONFIG).values["x"]
    assert 60 - MOST_UNREAD <= reached <= 60
    assert graph.invoke(None, LONG) == {"x": STEPS, "log": [*range(STEPS)]}


def test_another_way_to_store_is_not_passed_by(redis_url: str, namespace: str) -> None:
    """A subclass sees each call, with whatever durability."""
    seen: list[str] = []

    class Watching(RedisSaver):
        def put(self, *args: Any) -> Any:
            seen.append("put")
            return super().put(*args)

    with Watching(redis_url, namespace=namespace) as watching:
        counting(watching).invoke({"x": STEPS - 3}, CONFIG)
        watching.delete_thread("t")
    assert len(seen) == 5


def test_a_client_of_ones_own_lends_no_connection_for_long(redis_url: str, namespace: str) -> None:
    with connect(redis_url) as client:
        client.connection_pool.max_connections = 1
        with RedisSaver(client, namespace=namespace) as saver:
            graph = counting(saver, lambda _: cast(Any, client).ping())
            assert graph.invoke({"x": STEPS - 10}, CONFIG)["x"] == STEPS
            assert client.hlen(line_key(namespace)) > 10
            saver.delete_thread("t")
