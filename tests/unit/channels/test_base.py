"""What all channels have in common: a rule without state, and a stateful face for driving one by hand."""

from __future__ import annotations

import operator
from typing import Any

import pytest

from distgraph.channels import (
    AnyValue,
    BaseChannel,
    BinaryOperatorAggregate,
    EphemeralValue,
    LastValue,
    LastValueAfterFinish,
    NamedBarrierValue,
    NamedBarrierValueAfterFinish,
    Topic,
    UntrackedValue,
)
from distgraph.errors import EmptyChannelError
from distgraph.types import MISSING

pytestmark = pytest.mark.unit

EVERY: dict[str, BaseChannel[Any, Any]] = {
    "last": LastValue(int),
    "after": LastValueAfterFinish(int),
    "any": AnyValue(int),
    "untracked": UntrackedValue(int),
    "ephemeral": EphemeralValue(int),
    "topic": Topic(int),
    "sum": BinaryOperatorAggregate(int, operator.add),
    "barrier": NamedBarrierValue(str, {"a"}),
    "barrier after": NamedBarrierValueAfterFinish(str, {"a"}),
}


@pytest.mark.parametrize("name", EVERY)
def test_a_rule_that_has_nothing_to_do_returns_the_very_value(name: str) -> None:
    """So that the engine sees at once that nothing changed."""
    channel = EVERY[name]
    update = "a" if "barrier" in name else 5
    value = channel.reduce(channel.initial(), [update])
    if not channel.transient:
        assert channel.reduce(value, ()) is value
    finished = channel.finish(value)
    assert channel.finish(finished) is finished
    assert channel.consume(MISSING) is MISSING


@pytest.mark.parametrize("name", EVERY)
def test_a_name_makes_a_copy(name: str) -> None:
    channel = EVERY[name]
    named = channel.named("key")
    assert (named.key, channel.key) == ("key", "")
    assert named == channel
    assert hash(named) == hash(channel)


def test_channels_are_equal_by_their_rule() -> None:
    assert LastValue(int) == LastValue(str)
    assert LastValue(int) != AnyValue(int)
    assert EphemeralValue(int) != EphemeralValue(int, guard=False)
    assert Topic(int) != Topic(int, accumulate=True)
    assert NamedBarrierValue(str, {"a"}) != NamedBarrierValue(str, {"a", "b"})


def test_a_channel_can_be_driven_by_hand() -> None:
    held: Any = LastValue(int, key="n").from_checkpoint()
    assert not held.is_available()
    with pytest.raises(EmptyChannelError, match="Channel 'n' is empty"):
        held.get()
    assert held.update([5]) is True
    assert held.update([]) is False
    assert (held.is_available(), held.get(), held.checkpoint()) == (True, 5, 5)
    assert held.from_checkpoint(7).get() == 7
    assert held.get() == 5


def test_the_hand_driven_face_of_a_reducer_starts_empty_but_readable() -> None:
    held: Any = BinaryOperatorAggregate(list, operator.add).from_checkpoint()
    assert held.get() == []
    held.update([[1], [2]])
    assert held.get() == [1, 2]


def test_what_is_untracked_leaves_no_checkpoint() -> None:
    held: Any = UntrackedValue(int).from_checkpoint()
    held.update([5])
    assert held.get() == 5
    assert held.checkpoint() is MISSING


def test_a_channel_says_what_it_is() -> None:
    assert repr(LastValue(int)) == "LastValue(int)"


def test_the_base_has_no_rule() -> None:
    with pytest.raises(NotImplementedError):
        BaseChannel().reduce(MISSING, [])
