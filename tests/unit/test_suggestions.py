"""Names that may have been meant."""

from __future__ import annotations

import pytest

from distgraph.suggestions import closest, did_you_mean

pytestmark = pytest.mark.unit

NAMES = ["fetch", "parse", "__start__"]


def test_a_close_name_is_suggested_or_the_known_ones_are_listed() -> None:
    assert did_you_mean("fetsh", NAMES) == " Did you mean 'fetch'?"
    assert did_you_mean("zzz", NAMES) == " Known: 'fetch', 'parse'."
    assert did_you_mean("q", [f"node{i:02}" for i in range(20)]).endswith("'node11', ....")


def test_the_closest_name_is_one_or_none() -> None:
    assert closest("pars", NAMES) == "parse"
    assert closest("zzz", NAMES) is None
    assert closest("x", []) is None
