"""The page of guarantees: every failure of the survey has its row, and every test that a row names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "ops/docs/guarantees.md"
ROW = re.compile(r"^\| F(?P<number>\d+) \| (?P<failure>[^|]+) \| (?P<answer>[^|]+) \|(?P<test>[^|]*)\|$", re.MULTILINE)
ROWS = {int(row["number"]): row for row in ROW.finditer(PAGE.read_text())}
#: How an answer begins, or ends, that no test shows.
WHY_NOT = ("Not built", "No test")


def test_every_failure_has_its_row() -> None:
    assert list(ROWS) == list(range(1, 74))


@pytest.mark.parametrize("number", ROWS)
def test_the_test_that_shows_it_is_there_or_the_reason_why_not(number: int) -> None:
    named, answer = ROWS[number]["test"].strip(), ROWS[number]["answer"]
    if not named:
        assert any(reason in answer for reason in WHY_NOT), f"F{number} names no test and no reason"
        return
    path, *names = named.strip("`").split("::")
    body: list[ast.stmt] = ast.parse((ROOT / "tests" / path).read_text()).body
    for name in names:
        found = [one for one in body if isinstance(one, ast.FunctionDef | ast.ClassDef) and one.name == name]
        assert found, f"F{number}: {path} has no {name}"
        body = found[0].body


PROMISE = re.compile(
    r"^\* ((?:A superstep's|A node may|A run continues|The same graph) .*?)(?=\n\*|\n\n)", re.MULTILINE | re.DOTALL
)


def test_the_promise_is_worded_as_in_the_design() -> None:
    """And nobody says 'exactly-once execution'."""
    here, there = (
        [" ".join(text.split()) for text in PROMISE.findall(page.read_text())]
        for page in (PAGE, ROOT / "ops/docs/design.md")
    )
    assert len(here) == 4
    assert here == there
    assert "exactly-once execution" not in PAGE.read_text().lower()
