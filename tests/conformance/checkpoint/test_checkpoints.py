"""One checkpoint at a time: what is put is what is found, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.types import Command, Interrupt, Overwrite, Send
from tests.conformance.checkpoint.lines import Line, Saver, ids, stored, thread

pytestmark = pytest.mark.conformance


def test_a_checkpoint_comes_back_as_it_was_put(saver: Saver) -> None:
    line = Line(saver)
    line.grow(x=1, log=["a"])
    found = stored(saver, thread())
    assert found.checkpoint == line.head
    assert found.config == line.config == thread(at=line.head["id"])
    assert found.metadata == {"source": "input", "step": -1, "parents": {}}
    assert found.parent_config is None
    assert found.pending_writes == []


def test_put_returns_the_config_that_names_the_checkpoint(saver: Saver) -> None:
    line = Line(saver)
    first = line.grow(x=1)
    line.grow(x=2)
    assert stored(saver, thread(at=first)).checkpoint["channel_values"] == {"x": 1}


def test_the_latest_checkpoint_is_the_one_with_the_greatest_id(saver: Saver) -> None:
    line = Line(saver)
    line.grow(x=1)
    line.grow(x=2)
    late = line.fork("00000001-a", "b")
    late.step = -1
    late.grow(x=3)  # a fork whose id sorts before the head
    assert late.head["id"] == "00000001-b"
    assert stored(saver, thread()).checkpoint["id"] == "00000002-a"


def test_values_that_did_not_change_are_not_put_again_and_still_found(saver: Saver) -> None:
    """Only new versions are named; the others are what earlier checkpoints stored."""
    line = Line(saver)
    line.grow(x=1, big="once")
    line.grow(x=2)
    line.grow(x=3)
    assert stored(saver, thread()).checkpoint["channel_values"] == {"x": 3, "big": "once"}


def test_a_checkpoint_knows_its_parent(saver: Saver) -> None:
    line = Line(saver)
    first = line.grow(x=1)
    line.grow(x=2)
    assert stored(saver, thread()).parent_config == thread(at=first)


def test_forks_of_one_checkpoint_do_not_see_each_others_values(saver: Saver) -> None:
    line = Line(saver)
    first = line.grow(x=1, shared=["s"])
    one, other = line.fork(first, "b"), line.fork(first, "c")
    mine, theirs = one.grow(x="b"), other.grow(x="c")
    assert stored(saver, thread(at=mine)).checkpoint["channel_values"] == {"x": "b", "shared": ["s"]}
    assert stored(saver, thread(at=theirs)).checkpoint["channel_values"] == {"x": "c", "shared": ["s"]}
    assert stored(saver, thread(at=mine)).parent_config == stored(saver, thread(at=theirs)).parent_config


@pytest.mark.parametrize("config", [thread("nobody"), thread(at="00000009-z"), thread(ns="elsewhere")])
def test_what_is_not_there_is_none(saver: Saver, config: Any) -> None:
    Line(saver).grow(x=1)
    assert saver.get_tuple(config) is None
    assert saver.get(config) is None
    assert [*saver.list(config)] == []


def test_a_checkpoint_named_by_id_answers_with_the_config_that_asked(saver: Saver) -> None:
    first = Line(saver).grow(x=1)
    asked = thread(at=first, own="kept")
    assert stored(saver, asked).config == asked


def test_get_gives_the_checkpoint_alone(saver: Saver) -> None:
    line = Line(saver)
    line.grow(x=1)
    assert saver.get(thread()) == line.head


def test_what_a_program_does_to_its_values_changes_no_checkpoint(saver: Saver) -> None:
    """Neither the value that was put, nor one that was read, is the one that is stored."""
    line, log = Line(saver), ["a"]
    line.grow(log=log)
    log.append("after")
    stored(saver, thread()).checkpoint["channel_values"]["log"].append("read")
    assert stored(saver, thread()).checkpoint["channel_values"] == {"log": ["a"]}


@pytest.mark.parametrize(
    "value",
    [
        None,
        (1, 2),
        {"deep": [{"er": {1, 2}}]},
        b"\x00\xff",
        "z\u00fcrich \U0001f600",
        Send("node", {"x": [1]}),
        Interrupt(value="why?", id="0" * 32),
        Overwrite([1]),
        Command(goto="node", update={"x": 1}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_keep_their_types(saver: Saver, value: Any) -> None:
    Line(saver).grow(x=value)
    found = stored(saver, thread()).checkpoint["channel_values"]["x"]
    assert found == value
    assert type(found) is type(value)


def test_sends_of_a_superstep_come_back_as_a_list(saver: Saver) -> None:
    """The channel of dynamic tasks is a list like any other, however a saver packs it."""
    sends = [Send("node", {"i": i}) for i in range(3)]
    Line(saver).grow(**{"__pregel_tasks": sends})
    assert stored(saver, thread()).checkpoint["channel_values"] == {"__pregel_tasks": sends}


def test_names_of_threads_and_channels_may_be_anything(saver: Saver) -> None:
    for name in ("a:b", "a:b:c", "{x}", "*", "50%", "\u00e9\n", "batch:17", "branch:to:x"):
        Line(saver, name).grow(**{name: name})
        assert stored(saver, thread(name)).checkpoint["channel_values"] == {name: name}
    assert len(ids(saver.list(None))) == 8


def test_scalars_of_the_config_become_metadata_addresses_do_not(saver: Saver) -> None:
    config = {**thread(user="ann", _n=1, __private="no", bag={"not": "scalar"}), "metadata": {"run_id": "r"}}
    line = Line(saver)
    line.config = config
    line.grow(x=1)
    assert stored(saver, thread()).metadata == {
        **{"source": "input", "step": -1, "parents": {}},
        **{"user": "ann", "_n": 1, "run_id": "r"},
    }


def test_versions_grow_and_differ_between_branches(saver: Saver) -> None:
    first = saver.get_next_version(None)
    one, other = saver.get_next_version(first), saver.get_next_version(first)
    assert first < one
    assert first < other
    assert one != other
    assert len({saver.get_next_version(first) for _ in range(1000)}) > 990
