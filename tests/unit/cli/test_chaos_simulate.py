"""``distgraph chaos simulate``."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.conftest import Call

pytestmark = pytest.mark.unit


def test_it_says_how_much_happened(call: Call) -> None:
    answer = call("chaos", "simulate", "--schedules", "20", "--seed", "3")
    assert answer.code == 0
    assert answer.out.startswith("20 schedules from seed 3 in ")
    assert "Every invariant held." in answer.out


def test_it_answers_in_json(call: Call) -> None:
    answer = call("--json", "chaos", "simulate", "--schedules", "5")
    told = json.loads(answer.out)
    assert (answer.code, told["schedules"], told["seed"], told["violations"]) == (0, 5, 0, [])


def test_a_broken_protocol_is_a_failure_that_can_be_repeated(call: Call) -> None:
    answer = call("--json", "chaos", "simulate", "--schedules", "200", "--mutant", "no-sweep")
    assert answer.code == 1
    seed = json.loads(answer.out)["violations"][0]["seed"]
    again = call("chaos", "simulate", "--schedules", "1", "--seed", str(seed), "--mutant", "no-sweep")
    assert again.code == 1
    assert f"seed {seed}" in again.out


def test_mutants_are_named(call: Call) -> None:
    assert "early-barrier" in call("chaos", "simulate", "--mutant", "list").out
    answer = call("chaos", "simulate", "--mutant", "nothing")
    assert answer.code == 2
    assert "There is no mutant 'nothing'" in answer.err
