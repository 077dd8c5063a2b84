"""Checkpoints in the memory of one process."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from distgraph.checkpoint.base import NULL_TASK_ID
from distgraph.checkpoint.memory import InMemorySaver, MemorySaver
from distgraph.errors import CodecError

pytestmark = pytest.mark.unit


def config(thread: str = "t", cid: str | None = None, ns: str = "") -> dict[str, Any]:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": cid}}


def checkpoint(cid: str, values: dict[str, Any], versions: dict[str, Any] | None = None) -> Any:
    return {
        "v": 4,
        "id": cid,
        "ts": "",
        "channel_values": values,
        "channel_versions": versions or dict.fromkeys(values, int(cid)),
        "versions_seen": {"a": {"x": 1}},
        "updated_channels": None,
    }


def put(saver: InMemorySaver, cid: str, values: dict[str, Any], parent: str | None = None, **more: Any) -> Any:
    stored = checkpoint(cid, values, more.pop("versions", None))
    changed = more.pop("changed", stored["channel_versions"])
    metadata: Any = {"source": "loop", "step": int(cid), **more.pop("metadata", {})}
    return saver.put({**config(cid=parent, **more), "metadata": {"who": "me"}}, stored, metadata, changed)


def test_what_was_put_comes_back() -> None:
    saver = InMemorySaver()
    put(saver, "1", {"n": 1})
    assert put(saver, "2", {"n": 2}, parent="1") == config(cid="2")
    found = saver.get_tuple(config(cid="2"))
    assert found is not None
    assert found.checkpoint == checkpoint("2", {"n": 2})
    assert found.metadata == {"source": "loop", "step": 2, "who": "me"}
    assert found.parent_config == config(cid="1")
    assert saver.get(config(cid="1")) == checkpoint("1", {"n": 1})


def test_without_an_id_the_latest_is_meant() -> None:
    saver = InMemorySaver()
    for cid in ("2", "3", "1"):
        put(saver, cid, {"n": int(cid)})
    found = saver.get_tuple(config())
    assert found is not None
    assert found.checkpoint["id"] == "3"
    assert found.config == config(cid="3")


def test_what_is_not_there_is_none() -> None:
    saver = InMemorySaver()
    assert saver.get_tuple(config()) is None
    assert saver.get_tuple(config(cid="9")) is None
    assert saver.get(config()) is None
    assert list(saver.list(config())) == []
    assert saver.storage == {}


def test_later_changes_to_values_reach_no_checkpoint() -> None:
    """Neither to what was stored, nor to what was read."""
    saver = InMemorySaver()
    value = {"inner": [1]}
    put(saver, "1", {"x": value})
    saver.put_writes(config(cid="1"), [("x", value)], "task")
    value["inner"].append(2)
    first = saver.get_tuple(config())
    assert first is not None
    assert first.checkpoint["channel_values"] == {"x": {"inner": [1]}}
    assert first.pending_writes == [("task", "x", {"inner": [1]})]
    first.checkpoint["channel_values"]["x"]["inner"].append(3)
    first.checkpoint["versions_seen"]["a"].clear()
    first.metadata["step"] = 99
    again = saver.get_tuple(config())
    assert again is not None
    assert again.checkpoint == checkpoint("1", {"x": {"inner": [1]}})
    assert again.metadata["step"] == 1


def test_unchanged_values_are_stored_once() -> None:
    saver = InMemorySaver()
    put(saver, "1", {"big": "x" * 1000, "n": 1}, versions={"big": 1, "n": 1})
    put(saver, "2", {"big": "ignored, as it has not changed", "n": 2}, versions={"big": 1, "n": 2}, changed={"n": 2})
    assert len(saver.blobs) == 3
    found = saver.get(config())
    assert found is not None
    assert found["channel_values"] == {"big": "x" * 1000, "n": 2}


def test_threads_and_namespaces_are_apart() -> None:
    saver = InMemorySaver()
    put(saver, "1", {"n": 1})
    put(saver, "2", {"n": 2}, thread="other")
    put(saver, "3", {"n": 3}, ns="sub")
    assert [each.checkpoint["id"] for each in saver.list(config())] == ["1"]
    assert [each.checkpoint["id"] for each in saver.list({"configurable": {"thread_id": "t"}})] == ["1", "3"]
    assert sorted(each.checkpoint["id"] for each in saver.list(None)) == ["1", "2", "3"]


def test_lists_are_newest_first_and_can_be_narrowed() -> None:
    saver = InMemorySaver()
    for cid in "1234":
        put(saver, cid, {"n": 0}, metadata={"even": int(cid) % 2 == 0})

    def ids(**options: Any) -> str:
        return "".join(each.checkpoint["id"] for each in saver.list(config(), **options))

    assert ids() == "4321"
    assert ids(limit=2) == "43"
    assert ids(limit=0) == ""
    assert ids(before=config(cid="3")) == "21"
    assert ids(filter={"even": True}) == "42"
    assert ids(filter={"even": True, "who": "me"}, before=config(cid="4"), limit=1) == "2"
    assert ids(filter={"missing": 1}) == ""
    assert [each.checkpoint["id"] for each in saver.list(config(cid="2"))] == ["2"]


def test_the_first_output_of_a_task_stands_whole() -> None:
    """A second attempt's is not mixed in, whatever its length."""
    saver = InMemorySaver()
    put(saver, "1", {})
    saver.put_writes(config(cid="1"), [("a", 1), ("b", 2)], "task")
    saver.put_writes(config(cid="1"), [("a", 9), ("b", 9), ("c", 9)], "task")
    found = saver.get_tuple(config())
    assert found is not None
    assert found.pending_writes == [("task", "a", 1), ("task", "b", 2)]


def test_control_writes_are_replaced() -> None:
    saver = InMemorySaver()
    put(saver, "1", {})
    saver.put_writes(config(cid="1"), [("__error__", "first")], "task")
    saver.put_writes(config(cid="1"), [("__error__", "second"), ("__resume__", [1])], "task")
    found = saver.get_tuple(config())
    assert found is not None
    assert found.pending_writes == [("task", "__error__", "second"), ("task", "__resume__", [1])]


def test_writes_from_outside_add_up() -> None:
    """They are put again with those before them."""
    saver = InMemorySaver()
    put(saver, "1", {})
    saver.put_writes(config(cid="1"), [("a", 1)], NULL_TASK_ID)
    saver.put_writes(config(cid="1"), [("a", 1), ("a", 2)], NULL_TASK_ID)
    found = saver.get_tuple(config())
    assert found is not None
    assert found.pending_writes == [(NULL_TASK_ID, "a", 1), (NULL_TASK_ID, "a", 2)]


def test_pending_writes_are_in_the_order_of_paths() -> None:
    saver = InMemorySaver()
    put(saver, "1", {})
    for task, path in (("x", "b"), ("y", "a"), ("w", "b")):
        saver.put_writes(config(cid="1"), [("a", task)], task, path)
    found = saver.get_tuple(config())
    assert found is not None
    assert [value for _, _, value in found.pending_writes or ()] == ["y", "w", "x"]


def test_a_thread_can_be_deleted() -> None:
    saver = InMemorySaver()
    for thread in ("t", "kept"):
        put(saver, "1", {"n": 1}, thread=thread)
        saver.put_writes(config(thread, "1"), [("a", 1)], "task")
    saver.delete_thread("t")
    saver.delete_thread("never there")
    assert saver.get_tuple(config()) is None
    assert {key[0] for key in (*saver.blobs, *saver.writes)} == {"kept"}
    kept = saver.get_tuple(config("kept"))
    assert kept is not None
    assert kept.pending_writes == [("task", "a", 1)]


@dataclass
class Order:
    item: str


def test_types_of_this_process_need_no_registration() -> None:
    saver = InMemorySaver()
    put(saver, "1", {"order": Order("tea"), "many": [Order("a"), {"k": Order("b")}]})
    found = saver.get(config())
    assert found is not None
    assert found["channel_values"] == {"order": Order("tea"), "many": [Order("a"), {"k": Order("b")}]}


def test_what_cannot_be_stored_is_an_error_that_says_where() -> None:
    with pytest.raises(CodecError, match="lock"):
        put(InMemorySaver(), "1", {"x": threading.Lock()})


def test_it_is_a_context_manager_of_either_colour() -> None:
    async def main() -> None:
        async with InMemorySaver() as saver:
            assert await saver.aget_tuple(config()) is None
            await saver.aput(config(), checkpoint("1", {"n": 1}), {"step": 1}, {"n": 1})
            await saver.aput_writes(config(cid="1"), [("a", 1)], "task")
            assert [each.checkpoint["id"] async for each in saver.alist(config())] == ["1"]
            await saver.adelete_thread("t")
            assert await saver.aget(config()) is None

    asyncio.run(main())
    with InMemorySaver() as saver:
        assert isinstance(saver, MemorySaver)
