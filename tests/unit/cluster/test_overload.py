"""Backpressure: submissions wait, or are refused, while there is no room; what runs goes on."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.cluster.overload import Gate
from distgraph.errors import ConfigError, OverloadedError, ServerOutOfMemoryError
from distgraph.testing import InProcessCluster
from tests.unit.cluster.small import Counted, chain, cluster_of

pytestmark = pytest.mark.unit

MIB = 1 << 20


class Server:
    """Tells how full it is: the next of these each time, the last one for ever."""

    def __init__(self, *used: int, limit: int = 100) -> None:
        self.used, self.limit = list(used), limit

    def __call__(self) -> tuple[int, int]:
        used = self.used.pop(0) if len(self.used) > 1 else self.used[0]
        return used * MIB, self.limit * MIB


def gated(server: Server, policy: str = "wait", patience: float = 60.0) -> tuple[InProcessCluster, Any, list[float]]:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    waits: list[float] = []
    cluster.pause = waits.append  # type: ignore[method-assign,assignment]
    cluster.ledger.fleet.memory = server  # type: ignore[method-assign]
    cluster.gate = Gate(cluster, policy, patience)
    return cluster, graph, waits


def test_a_server_with_room_or_without_a_limit_takes_everything() -> None:
    for server in (Server(84), Server(500, limit=0)):
        cluster, graph, waits = gated(server)
        cluster.submit(graph, {"x": 1})
        assert waits == []


def test_a_submission_waits_until_there_is_room() -> None:
    cluster, graph, waits = gated(Server(90, 90, 90, 90, 84))
    run = cluster.submit(graph, {"x": 1})
    assert waits
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["a"]


def test_it_is_refused_with_the_numbers() -> None:
    cluster, graph, waits = gated(Server(90), "refuse")
    with pytest.raises(OverloadedError, match=r"holds 90.0 MiB of its maxmemory of 100.0 MiB \(90%.*stop at 85%"):
        cluster.submit(graph, {"x": 1}, run_id="r")
    assert waits == []
    assert cluster.ledger.runs.runs() == []


def test_it_does_not_wait_for_ever() -> None:
    cluster, graph, _ = gated(Server(90), patience=0.0)
    with pytest.raises(OverloadedError, match=r"No room came in 0 s\. Delete batches"):
        cluster.submit(graph, {"x": 1})


def test_a_long_queue_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, graph, _ = gated(Server(1), "refuse")
    monkeypatch.setattr(cluster.broker, "waiting", lambda queue=None: 100_000)
    with pytest.raises(OverloadedError, match="100000 messages wait in the queue"):
        cluster.submit(graph, {"x": 1})


def test_a_batch_refused_half_way_goes_on_with_the_same_call() -> None:
    cluster, graph, _ = gated(Server(90), "refuse")
    items = [{"x": at} for at in range(300)]
    with pytest.raises(OverloadedError):
        cluster.submit_batch(graph, items, batch_id="b")
    cluster.gate = Gate(cluster)
    cluster.ledger.fleet.memory = Server(10)  # type: ignore[method-assign]
    batch = cluster.submit_batch(graph, items, batch_id="b")
    cluster.run_until_idle()
    assert batch.status().done == 300


def test_what_a_full_server_refuses_is_sent_again() -> None:
    cluster, _, waits = gated(Server(10))
    answers: list[Any] = [ServerOutOfMemoryError("full"), ServerOutOfMemoryError("full"), "stored"]

    def store() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    assert cluster.gate.put(store) == "stored"
    assert len(waits) == 2


@pytest.mark.parametrize(("policy", "patience"), [("sleep", 1.0), ("wait", -1.0), ("wait", float("nan"))])
def test_a_wrong_policy_is_refused(policy: str, patience: float) -> None:
    cluster, _, _ = gated(Server(1))
    with pytest.raises(ConfigError, match="overload"):
        Gate(cluster, policy, patience)
