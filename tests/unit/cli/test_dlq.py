"""``distgraph dlq``: dead letters, listed, shown, retried."""

from __future__ import annotations

import pytest

from distgraph.cluster.dead import DeadLetter
from tests.unit.cli.conftest import Call
from tests.unit.cli.fakes import FakeCluster

ITEM = DeadLetter(
    run_id="b:3",
    batch_id="b",
    index=3,
    graph="double",
    node="risky",
    reason="its process was killed by SIGABRT, in node 'risky'",
    crashes=3,
    when=1_893_553_445.0,
    message="Item 3 of batch 'b' was quarantined.",
    traceback="",
)
RUN = DeadLetter("r", "", None, "double", "", "its whole worker died", 3, 1_893_553_400.0, "Run 'r' was.", "Trace")


@pytest.fixture
def dead(cluster: FakeCluster) -> FakeCluster:
    cluster.dead = [ITEM, RUN]
    return cluster


def test_list(call: Call, dead: FakeCluster) -> None:
    out = call("dlq", "list").out
    assert "b:3" in out
    assert "SIGABRT" in out
    assert "dlq retry b:3" in out
    letters = call("dlq", "list", "--limit", "1", "--json").json["dead_letters"]
    assert letters == [
        {
            "run_id": "b:3",
            "batch_id": "b",
            "index": 3,
            "graph": "double",
            "node": "risky",
            "crashes": 3,
            "when": "2030-01-02T03:04:05+00:00",
            "reason": "its process was killed by SIGABRT, in node 'risky'",
        }
    ]


def test_an_empty_list(call: Call) -> None:
    assert call("dlq", "list").out == "There is no dead letter.\n"
    assert call("dlq", "list", "--json").json == {"dead_letters": []}


def test_show(call: Call, dead: FakeCluster) -> None:
    out = call("dlq", "show", "b:3").out
    assert "crashes      3" in out
    assert "message      Item 3 of batch 'b' was quarantined." in out
    assert "traceback" not in out
    assert call("dlq", "show", "r", "--json").json["traceback"] == "Trace"


def test_retry(call: Call, dead: FakeCluster) -> None:
    assert call("dlq", "retry", "r").out == "1 dead letter again on the way.\n"
    assert dead.dead == [ITEM]
    assert call("dlq", "retry", "--all", "--json").json == {"retried": ["b:3"]}
    assert dead.dead == []


@pytest.mark.parametrize("words", [(), ("r", "--all")])
def test_what_to_retry_must_be_said(call: Call, dead: FakeCluster, words: tuple[str, ...]) -> None:
    answer = call("dlq", "retry", *words)
    assert (answer.code, len(dead.dead)) == (2, 2)
    assert "or say --all" in answer.err


@pytest.mark.parametrize("verb", ["show", "retry"])
def test_what_is_no_dead_letter_is_a_wrong_name(call: Call, dead: FakeCluster, verb: str) -> None:
    answer = call("dlq", verb, "nope", "--json")
    assert (answer.code, answer.error["code"]) == (2, "RUN_NOT_FOUND")
