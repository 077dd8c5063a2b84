"""Several calls made at once: what they share is packed once, who overrides a method is not passed by."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.checkpoint.several import PackedOnce, is_own
from tests.unit.checkpoint.test_memory import checkpoint, config

pytestmark = pytest.mark.unit


def test_the_same_objects_are_packed_once() -> None:
    packed: list[Any] = []

    def packing(value: Any) -> str:
        packed.append(value)
        return repr(value)

    pack = PackedOnce(packing)
    first, middle, last = {"a": 1}, {"b": 2}, {"c": 3}
    assert pack([first, middle, last]) == pack([first, middle, last]) == repr([first, middle, last])
    assert pack(middle) == pack(middle) == repr(middle)
    assert len(packed) == 2


def test_what_only_looks_the_same_is_packed_apart() -> None:
    pack = PackedOnce(repr)
    first, last = {"a": 1}, {"c": 3}
    for value in ([first, 1, last], [first, 2, last], [first, last], (first, last), [], [], 1, True, 1.0):
        assert pack(value) == repr(value)


def calls(value: list[Any]) -> list[tuple[str, tuple[Any, ...]]]:
    stored = checkpoint("2", {"found": [*value]})
    metadata: Any = {"source": "loop", "step": 2}
    return [
        ("put_writes", (config(cid="1"), [("found", value)], "task")),
        ("put", (config(cid="1"), stored, metadata, stored["channel_versions"])),
    ]


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_the_memory_saver_stores_all_of_several_calls(colour: str) -> None:
    saver = InMemorySaver()
    value: list[dict[str, Any]] = [{"a": 1}, {"b": 2}]
    saver.put(config(), checkpoint("1", {}), {}, {})
    asyncio.run(saver.aput_all(calls(value))) if colour == "async" else saver.put_all(calls(value))
    value[0]["a"] = "changed"
    found = saver.get_tuple(config(cid="2"))
    assert found is not None
    assert found.checkpoint["channel_values"] == {"found": [{"a": 1}, {"b": 2}]}
    before = saver.get_tuple(config(cid="1"))
    assert before is not None
    assert before.pending_writes == [("task", "found", [{"a": 1}, {"b": 2}])]
    saver.put_all(calls(value))
    found = saver.get_tuple(config(cid="2"))
    assert found is not None
    assert found.checkpoint["channel_values"] == {"found": [{"a": "changed"}, {"b": 2}]}


def test_a_subclass_of_the_memory_saver_sees_every_call() -> None:
    seen: list[str] = []

    class Watching(InMemorySaver):
        def put(self, *args: Any) -> Any:
            seen.append("put")

        async def aput_writes(self, *args: Any) -> None:
            seen.append("aput_writes")

    saver = Watching()
    assert not is_own(saver, InMemorySaver, "put", "put_writes")
    saver.put_all(calls([1]))
    asyncio.run(saver.aput_all(calls([1])))
    assert seen == ["put", "aput_writes", "put"]
