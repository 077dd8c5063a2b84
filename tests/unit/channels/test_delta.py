"""A channel that hands its reducer all updates of a superstep at once."""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, Sequence
from typing import Any

import pytest

from distgraph.channels import DeltaChannel
from distgraph.channels.binop import reducer_name
from distgraph.errors import InvalidUpdateError
from distgraph.types import MISSING, Overwrite

pytestmark = pytest.mark.unit


def extend(state: list[Any], writes: Sequence[list[Any]]) -> list[Any]:
    return [*state, *(item for write in writes for item in write)]


def in_place(state: list[Any], writes: Sequence[list[Any]]) -> list[Any]:
    for write in writes:
        state.extend(write)
    return state


LOG: DeltaChannel[Any] = DeltaChannel(extend, list, key="log")


def test_the_reducer_is_called_once_with_all_updates() -> None:
    calls: list[Any] = []

    def merge(state: list[Any], writes: Sequence[list[Any]]) -> list[Any]:
        calls.append((state, writes))
        return extend(state, writes)

    assert DeltaChannel(merge).reduce([0], ([1], [2, 3])) == [0, 1, 2, 3]
    assert calls == [([0], [[1], [2, 3]])]


def test_nothing_written_changes_nothing() -> None:
    value = [0]
    assert LOG.reduce(value, []) is value


@pytest.mark.parametrize(
    ("typ", "initial"),
    [(None, []), (list[str], []), (dict, {}), (MutableSequence, []), (Sequence[int], []), (Mapping[str, int], {})],
)
def test_it_starts_with_the_empty_value_of_its_type(typ: Any, initial: Any) -> None:
    assert DeltaChannel(extend, typ).initial() == initial
    assert DeltaChannel(extend).of(typ or list).from_checkpoint().get() == initial


def test_a_type_without_an_empty_value_is_an_error() -> None:
    with pytest.raises(TypeError) as caught:
        DeltaChannel(extend, Any, key="log").initial()
    assert "Key 'log'" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "form", [Overwrite([9]), {"__overwrite__": [9]}, {"value": [9], "type": "__overwrite__"}], ids=str
)
def test_an_overwrite_is_the_value_whatever_else_was_written(form: Any) -> None:
    assert LOG.reduce([0], [[1], form, [2]]) == [9]
    assert LOG.reduce(MISSING, [form]) == [9]


def test_an_overwritten_list_belongs_to_nobody_else() -> None:
    mine = [9]
    assert LOG.reduce([0], [Overwrite(mine)]) is not mine


def test_an_overwrite_with_none_empties() -> None:
    assert LOG.reduce([0], [Overwrite(None)]) == []


def test_two_overwrites_contradict_each_other() -> None:
    with pytest.raises(InvalidUpdateError, match="At key 'log': Can receive only one Overwrite value per super-step"):
        LOG.reduce([], [Overwrite([1]), Overwrite([2])])


def test_a_reducer_may_add_to_what_it_is_given() -> None:
    """The checkpoint before stays whole."""
    before = [0]
    after = DeltaChannel(in_place).reduce(before, [[1]])
    assert (before, after) == ([0], [0, 1])
    assert DeltaChannel(in_place).grew(before, [[1]], after)


def test_a_reducer_that_fails_is_named() -> None:
    with pytest.raises(TypeError) as caught:
        LOG.reduce([], [5])
    assert caught.value.__notes__ == [f"While the reducer {reducer_name(extend)} merged updates into key 'log'."]


def test_only_what_was_appended_to_grew() -> None:
    old: list[Any] = [{"n": 1}, {"n": 2}]
    assert LOG.grew(old, [[{"n": 3}]], LOG.reduce(old, [[{"n": 3}]]))
    assert not LOG.grew(old, [], [dict(old[0]), old[1], 3]), "equal is not the same"
    assert not LOG.grew(old, [], old[:1])
    assert not LOG.grew(old, [], old[::-1])
    assert not LOG.grew(old, [Overwrite([1, 2, 3])], [1, 2, 3])


def test_an_item_that_comes_back_may_have_been_changed() -> None:
    old: list[Any] = [{"n": 1}, "text"]
    assert not LOG.grew(old, [[old[0]]], [*old, old[0]])
    assert not LOG.grew(old, [old[0]], old)
    assert LOG.grew(old, [["text"]], [*old, "text"]), "a text is what it was"


def test_channels_with_the_same_reducer_and_frequency_are_equal() -> None:
    assert DeltaChannel(extend) == DeltaChannel(extend, dict)
    assert DeltaChannel(extend) != DeltaChannel(extend, snapshot_frequency=5)
    assert DeltaChannel(extend) != DeltaChannel(in_place)
    assert DeltaChannel(extend) != 5
    assert hash(DeltaChannel(extend)) == hash(DeltaChannel(extend, snapshot_frequency=5))


def test_the_frequency_is_no_part_of_a_graphs_fingerprint() -> None:
    """It changes nothing of what is computed or stored: runs of the version before may go on."""
    assert DeltaChannel(extend).spec() == DeltaChannel(extend, snapshot_frequency=5).spec()


@pytest.mark.parametrize("frequency", [0, -1])
def test_a_frequency_is_positive(frequency: int) -> None:
    with pytest.raises(ValueError, match=f"must be a positive int, got {frequency}"):
        DeltaChannel(extend, snapshot_frequency=frequency)


def test_driven_by_hand_it_holds_its_value() -> None:
    channel = LOG.from_checkpoint()
    assert channel.update([[1], [2]])
    assert not channel.update([])
    assert (channel.get(), channel.checkpoint()) == ([1, 2], [1, 2])
    assert LOG.from_checkpoint(channel.checkpoint()).get() == [1, 2]


def test_writes_of_several_supersteps_are_merged_at_once() -> None:
    def taken(value: Any, updates: Sequence[Any]) -> Any:
        return [value, *updates]

    channel: Any = DeltaChannel(taken).from_checkpoint(None)
    channel.replay_writes([])
    assert channel.get() is None
    channel.replay_writes([("t1", "c", "a"), ("t2", "c", "b")])
    assert channel.get() == [None, "a", "b"]
    channel.replay_writes([("t", "c", each) for each in ("x", Overwrite("y"), "z", Overwrite("0"), "1")])
    assert channel.get() == ["0", "1"]
    channel.replay_writes([("t", "c", Overwrite(None))])
    assert channel.get() == []
