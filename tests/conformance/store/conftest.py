"""Every kind of store, to hold each to the same suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from distgraph.store.base import BaseStore
from distgraph.store.memory import InMemoryStore


class Opened(Protocol):
    """Makes one more store over the same items, as another process would."""

    def __call__(self, **options: Any) -> BaseStore: ...


def _memory(request: pytest.FixtureRequest) -> Opened:
    made: list[InMemoryStore] = []

    def opened(**options: Any) -> BaseStore:
        store = InMemoryStore(**{"ttl": {}, **options})
        if made:
            store._data = made[0]._data
        made.append(store)
        return store

    return opened


KINDS: dict[str, Callable[[pytest.FixtureRequest], Opened]] = {"memory": _memory}


@pytest.fixture(params=KINDS)
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    """Opens stores of each kind, all over the same items."""
    yield KINDS[str(request.param)](request)


@pytest.fixture
def store(opened: Opened) -> BaseStore:
    """One empty store of each kind."""
    return opened()
