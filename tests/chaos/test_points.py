"""Crash points with real workers: a seeded sample with every point in it; all of them with DISTGRAPH_FULL=1."""

from __future__ import annotations

import os

import pytest

from distgraph.chaos.fault import points
from distgraph.chaos.points import Case, matrix, run, sample
from tests.nightly import FULL

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(5400 if FULL else 600)]

SEED = int(os.environ.get("DISTGRAPH_TEST_SEED", "1"))


def cases() -> list[Case]:
    return matrix() if FULL else sample(len(points()), SEED)


def test_every_promise_holds_wherever_it_strikes() -> None:
    chosen = cases()
    outcomes = run(chosen)
    assert [f"{outcome.case.title}: {outcome.problem}" for outcome in outcomes if outcome.problem] == []
    assert {outcome.case.fault.point for outcome in outcomes} == set(points())
