"""Keys: nothing of an id leaks into their structure, and one partition is one hash tag."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distgraph.errors import ConfigError
from distgraph.ledger.keys import CHUNK, Keys, check_namespace, encoded, item_id, split_item

pytestmark = pytest.mark.unit

#: Any text that can be stored, the structure's own characters more often than others.
names = st.text(st.one_of(st.sampled_from(":{}%*?[]|\n /"), st.characters(exclude_categories=["Cs"])))


def test_plain_ids_stay_readable() -> None:
    assert encoded("run-1_a.b/c@d+e") == "run-1_a.b/c@d+e"
    assert encoded("a b:ü") == "a%20b%3a%c3%bc"
    assert encoded("") == ""


@given(names, names)
def test_two_ids_never_share_a_key(one: str, other: str) -> None:
    assert (encoded(one) == encoded(other)) == (one == other)


@given(names)
def test_an_id_adds_no_separator_brace_or_glob(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.\-/@+%]*", encoded(name))


@given(names, names, st.integers(0, 10**6))
def test_all_keys_of_a_thread_share_its_tag(thread: str, run: str, number: int) -> None:
    keys = Keys("ns")
    tag = keys.tag(keys.partition(thread))
    for key in (
        keys.of(thread, "run", run),
        keys.line(thread),
        keys.line(thread, "nested"),
        keys.due(keys.partition(thread)),
    ):
        assert key.startswith(tag)
        assert key.count("{") == key.count("}") == 1


@given(names, st.integers(0, 10**9))
def test_an_item_lives_where_its_chunk_does(batch: str, index: int) -> None:
    """So that one script can touch the chunk, its rows, and the lines of its items."""
    keys = Keys("ns")
    assert keys.partition(item_id(batch, index)) == keys.chunk_partition(batch, index // CHUNK)


@given(names, st.integers(0, 10**9))
def test_an_item_id_can_be_taken_apart(batch: str, index: int) -> None:
    assert split_item(item_id(batch, index)) == (batch, index)


@pytest.mark.parametrize("text", ["", "run", "run:", "run:x", "run:-1", "run:" + "9" * 19])
def test_other_ids_are_no_items(text: str) -> None:
    assert split_item(text) is None


def test_chunks_of_a_batch_go_round_all_partitions() -> None:
    keys = Keys("ns")
    found = Counter(keys.chunk_partition("b", chunk) for chunk in range(80))
    assert found == dict.fromkeys(range(keys.partitions), 10)


def test_threads_spread_over_the_partitions() -> None:
    keys = Keys("ns")
    found = Counter(keys.partition(f"thread-{n}-x") for n in range(4000))
    assert set(found) == set(range(keys.partitions))
    assert max(found.values()) < 2 * min(found.values())


def test_the_same_thread_is_in_the_same_partition_in_every_process() -> None:
    """No salted hash: these numbers are written into servers."""
    keys = Keys("ns")
    assert [keys.partition(name) for name in ("r1", "thread", "b:0", "b:256", "ü")] == [1, 3, 1, 2, 5]


def test_namespaces_are_apart() -> None:
    one, other = Keys("a"), Keys("b")
    assert one.line("t") != other.line("t")
    assert one.shared("meta") == "dg:{a/g}:meta"
    assert one.tag(3) == "dg:{a/3}:"


@pytest.mark.parametrize("bad", ["", "a b", "a:b", "{a}", "x" * 65, "a/b", "a\n", None, 5])
def test_a_namespace_that_would_leak_is_refused(bad: str) -> None:
    with pytest.raises(ConfigError, match="is invalid: use 1 to 64 letters"):
        Keys(bad)


def test_a_namespace_may_have_dots_and_dashes() -> None:
    assert check_namespace("prod-eu.v2_x") == "prod-eu.v2_x"
