"""Checkpoints on a server that were damaged, or that change while they are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from distgraph.checkpoint.redis import RedisSaver
from distgraph.errors import CheckpointCorruptError
from distgraph.graph import START, StateGraph
from distgraph.ledger.connection import connect
from distgraph.types import Command
from tests.integration.saver_graph import CONFIG, State, ask, count, graph, line_key, opened, pend_key, saved

pytestmark = pytest.mark.integration


@pytest.fixture
def saver(redis_url: str, namespace: str) -> Iterator[RedisSaver]:
    with opened(redis_url, namespace) as saver:
        yield saver


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with connect(redis_url) as client:
        yield client


def damage(client: Any, key: str, start: bytes) -> bytes:
    """Flip a bit in the newest field of a hash that starts so; the field."""
    field: bytes = max(name for name in client.hkeys(key) if name.startswith(start))
    data = bytearray(client.hget(key, field))
    data[-1] ^= 1
    client.hset(key, field, bytes(data))
    return field


@pytest.mark.parametrize("start", [b"c:", b"v:x@", b"v:log@"])
def test_a_flipped_bit_is_found(saver: RedisSaver, client: Any, namespace: str, start: bytes) -> None:
    graph(saver).invoke({"x": 1}, CONFIG)
    damage(client, line_key(namespace), start)
    with pytest.raises(CheckpointCorruptError) as caught:
        saver.get_tuple(CONFIG)
    assert "of thread 't'" in caught.value.__notes__[-1]
    with pytest.raises(CheckpointCorruptError):
        graph(saver).invoke(Command(resume="fine"), CONFIG)
    with pytest.raises(CheckpointCorruptError):
        list(saver.list(CONFIG))


def test_damage_of_a_pending_write_is_found(saver: RedisSaver, client: Any, namespace: str) -> None:
    graph(saver).invoke({"x": 1}, CONFIG)
    head = saved(saver).checkpoint["id"]
    pend = pend_key(namespace)
    field = next(name for name in client.hkeys(pend) if name.startswith(head.encode()) and name.endswith(b"|w"))
    client.hset(pend, field, b"junk")
    with pytest.raises(CheckpointCorruptError, match="distgraph's mark"):
        saver.get_tuple(CONFIG)


def test_a_missing_value_is_named(saver: RedisSaver, client: Any, namespace: str) -> None:
    graph(saver).invoke({"x": 1}, CONFIG)
    key = line_key(namespace)
    client.hdel(key, *(name for name in client.hkeys(key) if name.startswith(b"v:log@")))
    with pytest.raises(CheckpointCorruptError, match=r"of thread 't' lacks its value of key 'log'"):
        saver.get_tuple(CONFIG)


def test_a_head_without_record_is_damage_another_checkpoint_without_is_gone(
    saver: RedisSaver, client: Any, namespace: str
) -> None:
    """Retention takes records of old checkpoints; the head's can only be lost."""
    graph(saver).invoke({"x": 1}, CONFIG)
    newest, older, *_ = saver.list(CONFIG)
    client.hdel(line_key(namespace), f"c:{older.checkpoint['id']}")
    assert saver.get_tuple(older.config) is None
    assert len([*saver.list(CONFIG)]) == 2
    client.hdel(line_key(namespace), f"c:{newest.checkpoint['id']}")
    with pytest.raises(CheckpointCorruptError, match="has no record"):
        saver.get_tuple(CONFIG)


def test_a_head_that_moves_while_it_is_read_is_read_again(
    saver: RedisSaver, client: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that keeps the latest checkpoint alone drops values between the two reads of whoever looks at it."""
    graph(saver).invoke({"x": 1}, CONFIG)
    newest, older, *_ = saver.list(CONFIG)
    key, find = line_key(namespace), saver._lines.look
    client.hset(key, "head", older.checkpoint["id"])

    def look(*args: Any) -> Any:
        found = find(*args)
        if found is not None and found.checkpoint_id == older.checkpoint["id"]:
            gone = [name for name in client.hkeys(key) if older.checkpoint["channel_versions"]["x"].encode() in name]
            client.hset(key, "head", newest.checkpoint["id"])
            client.hdel(key, f"c:{older.checkpoint['id']}", *(name for name in gone if b"branch:" in name))
        return found

    monkeypatch.setattr(saver._lines, "look", look)
    found = saver.get_tuple(CONFIG)
    assert found is not None
    assert found.checkpoint["id"] == newest.checkpoint["id"]


@pytest.mark.parametrize("gone", [":line:", ":pend:", ":hist:", ":line:t:ask", ":pend:t:ask", ":hist:t:ask"])
def test_a_deletion_that_was_cut_short_is_finished_by_the_next(
    saver: RedisSaver, client: Any, namespace: str, gone: str
) -> None:
    """Whichever of its keys went: what is left of the thread is deleted (the fixture looks), and a new one starts anew."""
    inner = StateGraph(State).add_node(ask).add_edge(START, "ask").compile(checkpointer=True)
    builder = StateGraph(State).add_node(count).add_node("ask", inner).add_edge(START, "count").add_edge("count", "ask")
    nested = builder.compile(checkpointer=saver)
    before = nested.invoke({"x": 1}, CONFIG)
    keys = [key for key in client.scan_iter(match=f"*{namespace}*") if gone.encode() in key]
    assert keys
    client.delete(*keys)
    saver.delete_thread("t")
    assert saver.get_tuple(CONFIG) is None
    again = nested.invoke({"x": 1}, CONFIG)
    assert (again["x"], again["log"], len(again["__interrupt__"])) == (before["x"], before["log"], 1)
