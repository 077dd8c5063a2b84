"""Power losses: a seeded handful; five hundred with DISTGRAPH_FULL=1."""

from __future__ import annotations

import os

import pytest

from distgraph.chaos.power import figures, run
from tests.nightly import FULL

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(5400 if FULL else 600)]

SEED = int(os.environ.get("DISTGRAPH_TEST_SEED", "1"))


def test_no_promise_is_broken() -> None:
    losses = run(500 if FULL else 12, SEED)
    assert [(loss, number) for number, loss in enumerate(losses) if loss.problem] == []
    found = figures(losses)
    # Something was really lost, somebody had really been told something: else this shows nothing.
    assert found["bytes"] > 0
    assert found["told at fsync"] > 0
    assert found["changed at fsync"] == 0
