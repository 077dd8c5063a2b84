"""The matrix of crash points, and samples of it."""

from __future__ import annotations

import pytest

from distgraph.chaos.fault import WHATS, points
from distgraph.chaos.points import case_from, figures, matrix, sample
from distgraph.errors import ConfigError


def test_every_point_moment_and_way_to_fail_is_a_case() -> None:
    cases = matrix()
    assert len(set(cases)) == len(cases)
    assert {case.fault.point for case in cases} == set(points())
    commits = {case.fault[1:3] for case in cases if case.fault.point == "commit"}
    assert commits == {(moment, what) for moment in ("before", "after", "reply-lost") for what in WHATS}


def test_a_sample_has_every_point_and_every_kind() -> None:
    drawn = sample(len(points()), seed=3)
    assert {case.fault.point for case in drawn} == set(points())
    assert len({(case.fault.moment, case.fault.what) for case in drawn}) == 3 * len(WHATS)


def test_a_sample_depends_on_its_seed_alone() -> None:
    assert sample(20, 7) == sample(20, 7)
    assert sample(20, 7) != sample(20, 8)
    assert len(set(sample(10_000, 1))) == len(matrix())


def test_a_title_leads_back_to_its_case() -> None:
    assert [case_from(case.title) for case in matrix()] == matrix()
    assert case_from("commit:before:stop").title == "commit:before:stop:1@run"
    with pytest.raises(ConfigError, match="no scenario"):
        case_from("commit:before:stop:1@nothing")


def test_figures_of_nothing() -> None:
    assert figures([])["cases"] == 0
