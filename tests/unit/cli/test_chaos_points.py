"""``distgraph chaos points``: which cases its options mean. That cases run is tested with real workers, in tests/chaos."""

from __future__ import annotations

from distgraph.chaos.points import matrix
from tests.unit.cli.conftest import Call


def test_all_of_them(call: Call) -> None:
    answer = call("chaos", "points", "--all", "--list")
    assert answer.code == 0
    assert answer.out.split() == [case.title for case in matrix()]


def test_those_of_a_point(call: Call) -> None:
    listed = call("chaos", "points", "--point", "commit", "--list").out.split()
    assert listed
    assert all(title.startswith("commit:") for title in listed)


def test_a_sample_is_drawn_by_its_seed(call: Call) -> None:
    first, again, other = (call("chaos", "points", "--sample", "5", "--seed", seed, "--list").out for seed in "112")
    assert first == again != other
    assert len(first.split()) == 5


def test_what_does_not_exist_is_a_usage_error(call: Call) -> None:
    for words in (["--point", "nothing"], ["--case", "commit:during:stop:1"]):
        answer = call("chaos", "points", *words, "--list")
        assert answer.code == 2
        assert "no point" in answer.err or "no fault" in answer.err
