"""What a bench's numbers are made of: medians, quantiles, ratios, tables."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ops.bench.common import (
    Case,
    Suite,
    Summary,
    enough,
    markdown_table,
    number,
    quantile,
    ranged,
    rows,
    summaries,
    summary,
    text_table,
)

pytestmark = pytest.mark.unit


def suite(**changes: Any) -> Suite:
    """A suite that compares with `peer`, else with `floor`."""
    told = {"UNIT": "ms", "BETTER": "lower", "BASELINES": ("peer", "floor"), "COLUMNS": (("calls", "calls/step"),)}
    return cast(Suite, SimpleNamespace(**{**told, **changes}))


def test_one_slow_measurement_does_not_move_the_middle() -> None:
    assert summary([3.0, 1.0, 90.0]) == Summary(3.0, 1.0, 90.0, 3)


def test_a_number_some_measurements_lack_is_summed_up_over_the_others() -> None:
    found = summaries([{"value": 1.0}, {"value": 3.0, "calls": 7.0}])
    assert found == {"value": Summary(2.0, 1.0, 3.0, 2), "calls": Summary(7.0, 7.0, 7.0, 1)}


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (0.991, 100.0), (1.0, 100.0)])
def test_a_quantile_is_one_of_the_values(share: float, expected: float) -> None:
    """p99 of a hundred rounds is the 99th, not the worst one."""
    assert quantile([float(value) for value in range(100, 0, -1)], share) == expected


def test_of_few_values_a_high_quantile_is_the_worst() -> None:
    assert quantile([2.0, 1.0, 3.0], 0.99) == 3.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.04123, "0.0412"),
        (8.254, "8.25"),
        (13.11, "13.1"),
        (131.4, "131"),
        (52301.0, "52,301"),
        (0.0, "0"),
        (7.0, "7"),
    ],
)
def test_numbers_show_what_matters(value: float, text: str) -> None:
    assert number(value) == text


def test_a_range_is_shown_only_where_there_is_one() -> None:
    assert ranged(summary([2.5])) == "2.50"
    assert ranged(summary([2.5, 1.5, 12.25])) == "2.50 [1.50..12.2]"


def test_repetitions_go_on_until_there_are_some_and_they_took_some_time() -> None:
    assert not enough([])
    assert not enough([1.0, 1.0]), "two long ones are too few"
    assert not enough([0.001] * 50), "many short ones are too short"
    assert enough([0.2, 0.2, 0.2])


def test_a_slow_engine_is_not_waited_for() -> None:
    assert enough([6.0])


def test_a_case_is_found_by_work_and_engine() -> None:
    assert Case("n=10", "celery solo").key == "n=10/celery solo"


def found(**values: float) -> dict[str, dict[str, Summary]]:
    return {engine: {"value": summary([value]), "calls": summary([2.5])} for engine, value in values.items()}


def test_each_engine_is_a_multiple_of_the_baseline() -> None:
    table = rows(suite(), {"n=1": found(ours=0.5, floor=0.05, peer=5.0)})
    assert table[0] == ["work", "engine", "ms (lower is better)", "ratio", "calls/step"]
    assert [row[3] for row in table[1:]] == ["0.1x", "0.01x", "1"]


def test_where_the_first_baseline_was_not_measured_the_next_one_counts() -> None:
    table = rows(suite(), {"n=1": found(ours=0.5, floor=0.05)})
    assert [row[3] for row in table[1:]] == ["10x", "1"]


def test_without_a_baseline_there_is_no_ratio() -> None:
    assert rows(suite(), {"n=1": found(ours=0.5)})[1][3] == ""


def test_a_column_that_nobody_fills_is_left_out() -> None:
    table = rows(suite(COLUMNS=(("calls", "calls/step"), ("peak_mb", "MB"))), {"n=1": found(ours=0.5)})
    assert table[0][4:] == ["calls/step"]


def test_a_table_aligns_words_left_and_numbers_right() -> None:
    text = text_table([["work", "engine", "ms"], ["n=1", "ours", "10.5"]])
    assert text.splitlines() == ["work  engine    ms", "n=1   ours    10.5"]


def test_a_table_for_a_document_has_a_rule_under_its_heading() -> None:
    text = markdown_table([["work", "engine", "ms"], ["n=1", "ours", "10.5"]])
    assert text.splitlines() == ["| work | engine | ms |", "| --- | --- | ---: |", "| n=1 | ours | 10.5 |"]
