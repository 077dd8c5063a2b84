"""Two workers on a private server, for all tests here that kill nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from distgraph.chaos.rest import settle
from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.ledger.leaks import leaks
from tests.autopsy import pytest_runtest_makereport as pytest_runtest_makereport

GRAPHS = (
    "workers.graphs",
    "tests.graphs.hard",
    "tests.graphs.memory",
    "tests.graphs.nested",
    "tests.graphs.growing",
    "tests.graphs.flows",
)


@pytest.fixture(scope="session")
def cluster(server_binary: str) -> Iterator[EmbeddedCluster]:
    """Two workers of one slot each. Their logs are shown if a worker does not survive the session."""
    with Cluster.embedded(workers=2, graphs=GRAPHS) as running:
        yield running
        dead = [process for process in running.processes if not process.alive]
        assert not dead, [process.log.read_text()[-2000:] for process in dead]


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test every key on the session's cluster has its owner, and nothing at rest is owed a look."""
    yield
    if "cluster" in request.fixturenames:
        ledger = request.getfixturevalue("cluster").ledger
        left = settle(lambda: leaks(ledger.client, ledger.keys), 10)
        assert not left, left[:20]


@pytest.fixture
def config() -> Callable[..., dict[str, dict[str, str]]]:
    """A config with a thread of its own; the same name gives the same thread."""
    salt = uuid.uuid4().hex[:12]
    return lambda name="t": {"configurable": {"thread_id": f"{name}-{salt}"}}


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The file that the graph `gate` waits for: `touch` it to let it go on."""
    return tmp_path / "open"
