"""Items in bytes: whole, where they belong, and of types that the schemas name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from distgraph.errors import CheckpointCorruptError, CodecError, TamperedDataError, UntrustedTypeError
from distgraph.ledger.keys import Keys
from distgraph.ledger.memory import MemoryLedger
from distgraph.store.redis import RedisStore
from distgraph.wire import Codec, TypeRegistry

NS = ("users", "ann")


@dataclass
class Point:
    x: int


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger(Keys("n"), lambda: 0)


def store(ledger: MemoryLedger, **options: Any) -> RedisStore:
    return RedisStore.over(ledger.items, Codec(TypeRegistry(), **options))


def moved(ledger: MemoryLedger, to: str, data: bytes | None = None) -> None:
    found = ledger.items.read([(NS, "k")])[0]
    assert found is not None
    item = next(iter(ledger.state.items[NS].values()))
    ledger.items.put([item.stored._replace(key=to, value=found.value if data is None else data)])


def test_an_item_that_was_moved_is_refused(ledger: MemoryLedger) -> None:
    store(ledger).put(NS, "k", {"n": 1})
    moved(ledger, "other")
    with pytest.raises(CheckpointCorruptError) as caught:
        store(ledger).get(NS, "other")
    assert "In item 'other' of ('users', 'ann')." in caught.value.__notes__


def test_an_item_that_is_no_dict_is_refused(ledger: MemoryLedger) -> None:
    store(ledger).put(NS, "k", {"n": 1})
    moved(ledger, "k", Codec(TypeRegistry()).encode([1], context=b"item:users.ann:k"))
    with pytest.raises(CheckpointCorruptError, match="no dict"):
        store(ledger).get(NS, "k")


def test_an_unsigned_item_is_refused_where_there_is_a_secret(ledger: MemoryLedger) -> None:
    store(ledger).put(NS, "k", {"n": 1})
    with pytest.raises(TamperedDataError):
        store(ledger, secret=b"s").search(())


def test_types_are_those_that_the_store_was_told_of(ledger: MemoryLedger) -> None:
    told, other = store(ledger).with_types([Point]), store(ledger)
    with pytest.raises(CodecError) as caught:
        other.put(NS, "k", {"at": Point(1)})
    assert "While storing item 'k' of ('users', 'ann')." in caught.value.__notes__
    told.put(NS, "k", {"at": Point(1)})
    found = told.get(NS, "k")
    assert found is not None
    assert found.value == {"at": Point(1)}
    with pytest.raises(UntrustedTypeError):
        other.get(NS, "k")
