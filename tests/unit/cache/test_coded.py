"""What cannot be read any more is not there; what was moved is not believed."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from distgraph.cache.redis import RedisCache
from distgraph.ledger.keys import Keys
from distgraph.ledger.memory import MemoryLedger
from distgraph.types import Send
from distgraph.wire import Codec, TypeRegistry

KEY = (("writes", "node"), "k")


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger(Keys("n"), lambda: 0)


def cache(ledger: MemoryLedger, **options: Any) -> RedisCache[Any]:
    return RedisCache.over(ledger.kept, Codec(TypeRegistry(), **options))


@pytest.mark.parametrize("data", [b"", b"damaged", b"DG" + b"\0" * 20])
def test_a_damaged_value_is_made_again(ledger: MemoryLedger, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    ledger.kept.put({KEY: (data, None)})
    with caplog.at_level(logging.WARNING):
        assert cache(ledger).get([KEY]) == {}
    assert "cannot be read and is made again" in caplog.text


def test_a_value_of_another_secret_is_made_again(ledger: MemoryLedger) -> None:
    cache(ledger, secret=b"one").set({KEY: (1, None)})
    assert cache(ledger, secret=b"other").get([KEY]) == cache(ledger).get([KEY]) == {}
    assert cache(ledger, secret=b"one").get([KEY]) == {KEY: 1}


def test_a_value_that_was_moved_is_not_believed(ledger: MemoryLedger) -> None:
    cache(ledger).set({KEY: (Send("node", 1), None)})
    stored = ledger.kept.read([KEY])[0]
    assert stored is not None
    ledger.kept.put({(KEY[0], "other"): (stored, None)})
    assert cache(ledger).get([KEY, (KEY[0], "other")]) == {KEY: Send("node", 1)}
