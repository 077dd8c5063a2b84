"""Threads over time: order, filters, bounds, namespaces, deletion."""

from __future__ import annotations

import pytest

from tests.conformance.checkpoint.lines import Line, Saver, ids, stored, thread

pytestmark = pytest.mark.conformance


@pytest.fixture
def line(saver: Saver) -> Line:
    """Seven checkpoints, and those of another thread that nobody asks about."""
    Line(saver, "other").grow(x="other")
    line = Line(saver)
    for x in range(7):
        line.grow({"even": x % 2 == 0, "tag": "all"}, x=x)
    return line


def test_history_is_newest_first_and_complete(saver: Saver, line: Line) -> None:
    found = [*saver.list(thread())]
    assert [one.checkpoint["channel_values"]["x"] for one in found] == [6, 5, 4, 3, 2, 1, 0]
    assert [one.metadata["step"] for one in found] == [5, 4, 3, 2, 1, 0, -1]
    assert [one.parent_config for one in found] == [one.config for one in found[1:]] + [None]


def test_a_long_history_is_complete_too(saver: Saver) -> None:
    """However a saver reads it: in one piece, or in many."""
    line = Line(saver)
    for x in range(100):
        line.grow(x=x, **({"rare": x} if x % 30 == 0 else {}))
    values = [one.checkpoint["channel_values"] for one in saver.list(thread())]
    assert values == [{"x": x, "rare": x - x % 30} for x in reversed(range(100))]
    assert len([*saver.list(thread(), limit=70)]) == 70


@pytest.mark.parametrize(("limit", "steps"), [(None, 7), (0, 0), (1, 1), (3, 3), (99, 7)])
def test_limit(saver: Saver, line: Line, limit: int | None, steps: int) -> None:
    found = [one.checkpoint["channel_values"]["x"] for one in saver.list(thread(), limit=limit)]
    assert found == [6, 5, 4, 3, 2, 1, 0][:steps]


def test_before_is_exclusive(saver: Saver, line: Line) -> None:
    fourth = ids(saver.list(thread()))[3]
    found = saver.list(thread(), before=thread(at=fourth))
    assert [one.checkpoint["channel_values"]["x"] for one in found] == [2, 1, 0]


def test_before_a_checkpoint_that_is_not_there_goes_by_order(saver: Saver, line: Line) -> None:
    """A nested graph's parent is named by an id of another line."""
    assert len(ids(saver.list(thread(), before=thread(at="00000004")))) == 3
    assert ids(saver.list(thread(), before=thread(at="0"))) == []
    assert len(ids(saver.list(thread(), before=thread(at="9")))) == 7


def test_filter_by_metadata(saver: Saver, line: Line) -> None:
    found = saver.list(thread(), filter={"even": True, "tag": "all"})
    assert [one.checkpoint["channel_values"]["x"] for one in found] == [6, 4, 2, 0]
    assert ids(saver.list(thread(), filter={"even": "True"})) == []
    assert ids(saver.list(thread(), filter={"unknown": 1})) == []
    assert len(ids(saver.list(thread(), filter={"source": "input"}))) == 1
    assert len(ids(saver.list(thread(), filter={"parents": {}}))) == 7
    assert len(ids(saver.list(thread(), filter={"absent": None}))) == 7


def test_filter_before_and_limit_together(saver: Saver, line: Line) -> None:
    newest = ids(saver.list(thread()))[0]
    found = saver.list(thread(), filter={"even": True}, before=thread(at=newest), limit=2)
    assert [one.checkpoint["channel_values"]["x"] for one in found] == [4, 2]


def test_a_config_with_a_checkpoint_lists_that_one(saver: Saver, line: Line) -> None:
    third = ids(saver.list(thread()))[2]
    assert ids(saver.list(thread(at=third))) == [third]
    assert ids(saver.list(thread(at=third), before=thread(at=third))) == []
    assert ids(saver.list(thread(at=third), filter={"even": False})) == []


def test_history_holds_the_forks_too(saver: Saver) -> None:
    line = Line(saver)
    first = line.grow(x=1)
    line.grow(x=2)
    fork = line.fork(first, "b")
    fork.grow(x=3)
    assert ids(saver.list(thread())) == ["00000003-b", "00000002-a", "00000001-a"]
    assert stored(saver, thread()).parent_config == thread(at=first)


def test_no_config_lists_all_threads(saver: Saver, line: Line) -> None:
    Line(saver, "nested", ns="inner").grow(x=1)
    found = [one.config["configurable"] for one in saver.list(None)]
    assert {one["thread_id"] for one in found} == {"t", "other", "nested"}
    assert len(found) == 9
    assert len(ids(saver.list(None, limit=3))) == 3
    assert len(ids(saver.list(None, filter={"tag": "all"}))) == 7


def test_namespaces_are_lines_of_their_own(saver: Saver) -> None:
    outer, inner = Line(saver), Line(saver, ns="node:1234")
    outer.grow(x="outer")
    inner.grow(x="inner")
    inner.grow(x="inner 2")
    assert stored(saver, thread()).checkpoint["channel_values"] == {"x": "outer"}
    assert stored(saver, thread(ns="node:1234")).checkpoint["channel_values"] == {"x": "inner 2"}
    assert stored(saver, thread(ns="node:1234")).config == inner.config
    assert len(ids(saver.list(thread(ns="")))) == 1
    assert len(ids(saver.list(thread(ns="node:1234")))) == 2


def test_a_config_without_namespace_finds_the_root_and_lists_all(saver: Saver) -> None:
    Line(saver).grow(x="outer")
    Line(saver, ns="a|b:1").grow(x="inner")
    assert stored(saver, thread(ns=None)).checkpoint["channel_values"] == {"x": "outer"}
    assert {one.config["configurable"]["checkpoint_ns"] for one in saver.list(thread(ns=None))} == {"", "a|b:1"}


def test_delete_thread_deletes_all_of_one_thread(saver: Saver, line: Line) -> None:
    inner = Line(saver, ns="node:1")
    inner.grow(x=1)
    saver.put_writes(inner.config, [("x", 2)], "task")
    saver.put_writes(line.config, [("x", 2)], "task")
    saver.delete_thread("t")
    assert [*saver.list(thread(ns=None))] == []
    assert saver.get_tuple(thread(at=line.head["id"])) is None
    assert saver.get_tuple(thread(ns="node:1")) is None
    assert {one.config["configurable"]["thread_id"] for one in saver.list(None)} == {"other"}


def test_a_deleted_thread_begins_anew(saver: Saver, line: Line) -> None:
    saver.put_writes(line.config, [("x", 2)], "task")
    saver.delete_thread("t")
    again = Line(saver)
    for _ in range(7):
        again.grow(x="new")
    assert again.head["id"] == line.head["id"]
    assert stored(saver, thread()).pending_writes == []
    assert {one.checkpoint["channel_values"]["x"] for one in saver.list(thread())} == {"new"}


def test_deleting_what_is_not_there_changes_nothing(saver: Saver, line: Line) -> None:
    saver.delete_thread("nobody")
    assert len([*saver.list(thread())]) == 7


@pytest.mark.parametrize("parents", ["missing", "a circle", "itself", "two children"])
def test_odd_parents_hide_nothing(saver: Saver, parents: str) -> None:
    """What a checkpoint says of where it came from is told, and followed by nobody who could go round in circles."""
    named = {
        "missing": {"00000002-a": "00000000-x"},
        "a circle": {"00000001-a": "00000003-a", "00000002-a": "00000001-a", "00000003-a": "00000002-a"},
        "itself": {"00000002-a": "00000002-a"},
        "two children": {"00000002-a": "00000001-a", "00000003-a": "00000001-a"},
    }[parents]
    line = Line(saver)
    for x in range(3):
        line.config = thread(at=named.get(f"{x + 1:08d}-a"))
        line.grow(x=x, log=[x])
    found = [*saver.list(thread())]
    assert ids(found) == ["00000003-a", "00000002-a", "00000001-a"]
    assert [one.checkpoint["channel_values"]["x"] for one in found] == [2, 1, 0]
    for one in found:
        assert stored(saver, one.config).checkpoint == one.checkpoint
        parent = named.get(one.checkpoint["id"])
        assert one.parent_config == (thread(at=parent) if parent else None)
    assert line.grow(x=3) == "00000004-a", "it goes on"
    saver.delete_thread("t")
    assert ids(saver.list(thread())) == []
