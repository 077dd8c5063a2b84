"""What a saver is given, and the border between its form and the algebra's."""

from __future__ import annotations

import asyncio
import operator
from typing import Any

import pytest

from distgraph.channels import BinaryOperatorAggregate, LastValue
from distgraph.checkpoint.base import (
    BaseCheckpointSaver,
    CheckpointTuple,
    copy_checkpoint,
    create_checkpoint,
    empty_checkpoint,
    from_public,
    get_checkpoint_id,
    get_checkpoint_metadata,
    new_versions,
    to_public,
)
from distgraph.checkpoint.memory import InMemorySaver
from distgraph.superstep.identity import checkpoint_id
from distgraph.superstep.model import Checkpoint

pytestmark = pytest.mark.unit

AT = Checkpoint(
    id="c2",
    parent="c1",
    step=3,
    source="loop",
    values={"n": 1, "handle": object()},
    versions={"n": "0002.aa", "handle": "0003.bb"},
    seen={"a": {"branch:to:a": "0002.aa"}},
    updated=frozenset({"n", "handle"}),
    clock="0003.bb",
    ts="2026-01-01T00:00:00+00:00",
)


def saved(public: Any, **metadata: Any) -> CheckpointTuple:
    return CheckpointTuple(
        {"configurable": {"thread_id": "t", "checkpoint_id": public["id"]}},
        public,
        {"source": "loop", "step": 3, **metadata},  # type: ignore[typeddict-item]
        {"configurable": {"thread_id": "t", "checkpoint_id": "c1"}},
    )


def test_a_checkpoint_survives_the_way_to_a_saver_and_back() -> None:
    assert from_public(saved(to_public(AT))) == AT


def test_checkpoints_made_by_hand_are_kept_by_savers() -> None:
    """What programs do that test a saver of their own."""
    saver, ids = InMemorySaver(), []
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    for n in range(3):
        made = empty_checkpoint()
        made["channel_values"], made["channel_versions"] = {"n": n}, {"n": n + 1}
        config = saver.put(config, made, {"source": "loop", "step": n}, {"n": n + 1})
        ids.append(made["id"])
    assert ids == sorted(ids)
    thread: Any = {"configurable": {"thread_id": "t"}}
    assert [found.checkpoint["channel_values"] for found in saver.list(thread)] == [{"n": 2}, {"n": 1}, {"n": 0}]
    assert [found.checkpoint["id"] for found in saver.list(thread)] == ids[::-1]


def test_a_copy_of_a_checkpoint_has_dicts_of_its_own() -> None:
    public = to_public(AT)
    copied = copy_checkpoint(public)
    assert copied == public
    copied["channel_values"]["n"] = copied["channel_versions"]["n"] = copied["versions_seen"]["a"]["branch:to:a"] = 9
    assert public == to_public(AT)


def test_untracked_channels_stay_behind() -> None:
    public = to_public(AT, frozenset({"handle"}))
    assert (public["channel_values"], public["channel_versions"]) == ({"n": 1}, {"n": "0002.aa"})
    assert "handle" in AT.values


def test_what_a_saver_gets_can_be_changed_without_harm() -> None:
    public = to_public(AT)
    public["channel_values"]["n"] = 99
    public["channel_versions"].clear()
    assert AT.values["n"] == 1
    assert AT.versions["n"] == "0002.aa"


def test_checkpoints_of_another_library_can_be_read() -> None:
    """They know no clock and keep versions of empty channels."""
    public: Any = to_public(AT)
    del public["clock"], public["updated_channels"]
    public["channel_versions"]["branch:to:a"] = "0004.cc"
    at = from_public(saved(public)._replace(parent_config=None))
    assert (at.clock, at.updated, at.parent) == ("0004.cc", None, None)
    assert "branch:to:a" not in at.versions


def test_versions_grow_and_never_repeat() -> None:
    """Two branches from one checkpoint give different versions: savers keep one value for each."""
    saver: BaseCheckpointSaver[str] = InMemorySaver()
    first = saver.get_next_version(None)
    one, other = saver.get_next_version(first), saver.get_next_version(first)
    assert first < one
    assert first < other
    assert one != other
    last = first
    for _ in range(1200):
        following = saver.get_next_version(last)
        assert following > last
        last = following


@pytest.mark.parametrize("current", ["00000000000000000000000000000009.0123", "0000000000000009.ab", 9, 9.0])
def test_versions_go_on_from_those_of_other_savers(current: Any) -> None:
    """At the same width, so that they sort as text."""
    following: str = InMemorySaver().get_next_version(current)
    number = following.partition(".")[0]
    assert int(number) == 10
    if isinstance(current, str):
        assert following > current


def test_changed_versions_are_those_to_be_stored() -> None:
    assert new_versions({"a": 1, "b": 2, "gone": 3}, {"a": 1, "b": 4, "new": 5}) == {"b": 4, "new": 5}


def test_metadata_takes_the_scalars_of_the_config_that_are_no_addresses() -> None:
    config = {
        "metadata": {"who": "me", "deep": {"x": 1}, "thread_id": "t"},
        "configurable": {"thread_id": "t", "checkpoint_ns": "", "user": 5, "__private": 1, "step": 99},
    }
    assert get_checkpoint_metadata(config, {"source": "loop", "step": 1, "parents": {}}) == {
        "source": "loop",
        "step": 1,
        "parents": {},
        "who": "me",
        "user": 5,
    }
    assert get_checkpoint_metadata({}, {"step": 1}) == {"step": 1}


def test_a_config_may_name_no_checkpoint() -> None:
    assert get_checkpoint_id({"configurable": {"checkpoint_id": "c"}}) == "c"
    assert get_checkpoint_id({"configurable": {"checkpoint_id": None}}) is None
    assert get_checkpoint_id({}) is None


class Abstract(BaseCheckpointSaver[str]):
    """Implements nothing."""


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("get_tuple", ({},)),
        ("list", ({},)),
        ("put", ({}, {}, {}, {})),
        ("put_writes", ({}, [], "t")),
        ("delete_thread", ("t",)),
    ],
)
def test_a_saver_must_say_how_it_keeps_things(method: str, args: Any) -> None:
    with pytest.raises(NotImplementedError):
        getattr(Abstract(), method)(*args)


def test_the_async_methods_use_the_others() -> None:
    class Tiny(Abstract):
        def get_tuple(self, config: Any) -> Any:
            return saved(to_public(AT)) if config else None

        def list(self, config: Any, **options: Any) -> Any:
            return iter([config, options])

        def put(self, *args: Any) -> Any:
            return args

        def put_writes(self, *args: Any) -> None:
            self.wrote = args

        def delete_thread(self, thread_id: str) -> None:
            self.deleted = thread_id

    async def main() -> None:
        saver = Tiny()
        found = await saver.aget({"a": 1})
        assert found is not None
        assert found["id"] == "c2"
        assert await saver.aget({}) is None
        assert saver.get({}) is None
        assert [each async for each in saver.alist("c", limit=1)] == ["c", {"filter": None, "before": None, "limit": 1}]
        assert await saver.aput(1, 2, 3, 4) == (1, 2, 3, 4)  # type: ignore[arg-type]
        await saver.aput_writes({}, [], "t", "p")
        await saver.adelete_thread("t")
        assert (saver.wrote, saver.deleted) == (({}, [], "t", "p"), "t")

    asyncio.run(main())


def test_a_serializer_of_ones_own_is_used() -> None:
    class Upper:
        def dumps(self, value: Any) -> bytes:
            return str(value).upper().encode()

        def loads(self, data: bytes) -> Any:
            return data.decode()

    serde = InMemorySaver(serde=Upper()).serde
    assert serde.dumps_typed("x") == ("str", b"X")
    assert serde.loads_typed(("str", b"X")) == "X"
    assert Abstract().config_specs == []


def test_a_checkpoint_that_follows_another_is_newer_and_holds_what_channels_hold() -> None:
    before = empty_checkpoint()
    before["channel_versions"] = {"n": 1, "empty": 1}
    count: Any = BinaryOperatorAggregate(int, operator.add, "n")
    count.update([2, 3])
    after = create_checkpoint(before, {"n": count, "empty": LastValue(int, "empty"), "new": LastValue(int, "new")}, 4)
    assert after["channel_values"] == {"n": 5}
    assert after["id"] > before["id"]
    assert after["channel_versions"] == before["channel_versions"]
    after["channel_versions"]["n"] = 2
    assert before["channel_versions"]["n"] == 1, "it is another one"


def test_without_channels_the_values_stay() -> None:
    before = empty_checkpoint()
    before["channel_values"] = {"n": 1}
    after = create_checkpoint(before, None, 1, id="named")
    assert (after["id"], after["channel_values"]) == ("named", {"n": 1})


def test_a_checkpoint_after_one_of_a_faster_clock_is_newer_too() -> None:
    before = empty_checkpoint()
    before["id"] = checkpoint_id(2**51, 7)
    assert create_checkpoint(before, None, 1)["id"] > before["id"]
