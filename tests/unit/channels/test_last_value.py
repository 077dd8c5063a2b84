"""Channels that keep the last value written."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.channels import AnyValue, EphemeralValue, LastValue, LastValueAfterFinish, UntrackedValue
from distgraph.channels.any_value import AnyValue as PublicAny
from distgraph.channels.ephemeral_value import EphemeralValue as PublicEphemeral
from distgraph.channels.untracked_value import UntrackedValue as PublicUntracked
from distgraph.errors import InvalidUpdateError
from distgraph.types import MISSING

pytestmark = pytest.mark.unit


def test_a_last_value_takes_one_write_a_superstep() -> None:
    """Two have no order that anybody chose; the text names the key and the way out."""
    channel: Any = LastValue(int, key="n")
    assert channel.reduce(1, [2]) == 2
    assert channel.reduce(1, []) == 1
    with pytest.raises(InvalidUpdateError, match="At key 'n': Can receive only one value per step, got 2") as caught:
        channel.reduce(1, [2, 3])
    assert "Annotated key" in str(caught.value)
    assert "INVALID_CONCURRENT_GRAPH_UPDATE" in str(caught.value)


def test_any_value_keeps_one_of_several_and_forgets_it() -> None:
    channel: Any = AnyValue(int)
    assert channel.reduce(MISSING, [2, 3]) == 3
    assert channel.reduce(3, []) is MISSING


def test_an_ephemeral_value_lives_for_one_superstep() -> None:
    channel: Any = EphemeralValue(int, key="x")
    assert channel.reduce(MISSING, [2]) == 2
    assert channel.reduce(2, []) is MISSING
    with pytest.raises(InvalidUpdateError, match="At key 'x'"):
        channel.reduce(MISSING, [1, 2])
    assert EphemeralValue(int, guard=False).reduce(MISSING, [1, 2]) == 2


def test_an_untracked_value_stays_for_the_run_only() -> None:
    channel: Any = UntrackedValue(int, key="x")
    assert channel.reduce(1, []) == 1
    assert not channel.tracked
    with pytest.raises(InvalidUpdateError, match="At key 'x'"):
        channel.reduce(MISSING, [1, 2])
    assert UntrackedValue(int, guard=False).reduce(MISSING, [1, 2]) == 2


def test_a_deferred_value_opens_at_the_end_and_is_gone_when_read() -> None:
    channel: Any = LastValueAfterFinish(int)
    written = channel.reduce(MISSING, [1, 2])
    assert not channel.is_available(written)
    assert channel.consume(written) is written
    opened = channel.finish(written)
    assert channel.is_available(opened)
    assert channel.read(opened) == 2
    assert channel.consume(opened) is MISSING
    assert channel.finish(MISSING) is MISSING
    # Written again before it was read: closed again.
    assert not channel.is_available(channel.reduce(opened, [3]))


def test_the_public_places_hold_the_same_classes() -> None:
    assert (PublicAny, PublicEphemeral, PublicUntracked) == (AnyValue, EphemeralValue, UntrackedValue)
