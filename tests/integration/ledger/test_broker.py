"""A broker on a server of its own: who connects sees that it can be one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.hints import BatchHint, queue_name
from distgraph.errors import ServerAuthError, ServerReadOnlyError
from distgraph.ledger.broker import check_broker
from distgraph.ledger.connection import connect
from distgraph.ledger.server import EmbeddedServer

pytestmark = pytest.mark.integration


@pytest.fixture
def other(server_program: str) -> Iterator[EmbeddedServer]:
    """A second server, which keeps nothing and wants a password."""
    with EmbeddedServer(binary=server_program, persistence="memory", password="secret") as own:
        yield own


def test_one_that_keeps_nothing_and_may_evict_will_do(server: EmbeddedServer, other: EmbeddedServer) -> None:
    with connect(other.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    check_broker(other.url, server.url)


def test_one_that_refuses_is_told_when_a_client_connects(server: EmbeddedServer, other: EmbeddedServer) -> None:
    with pytest.raises(ServerAuthError) as caught:
        Cluster.connect(server.url, broker_url=f"redis://:hush@127.0.0.1:{other.port}/0")
    assert str(other.port) in str(caught.value)
    assert "hush" not in str(caught.value)
    with connect(other.url) as client:
        client.replicaof("127.0.0.1", 1)
    with pytest.raises(ServerReadOnlyError):
        Cluster.connect(server.url, broker_url=other.url)


def test_hints_are_on_the_broker_alone(
    server: EmbeddedServer, other: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker in the environment belongs to the server there."""
    monkeypatch.setenv("DISTGRAPH_URL", server.url)
    monkeypatch.setenv("DISTGRAPH_BROKER_URL", other.url)
    queue = queue_name(namespace)
    with connect(server.url) as here, connect(other.url) as there:
        for at, url in enumerate((None, server.url)):
            with Cluster.connect(url, namespace=namespace) as cluster:
                assert cluster.dispatcher.reachable()
                cluster.dispatcher.publish([BatchHint("b", "g", "f")])
                assert cluster.dispatcher.waiting() == 1
                assert cluster.dispatcher.expected() == frozenset({"b"})
            assert (here.llen(queue), there.llen(queue)) == (at, 1)
        here.delete(queue)
