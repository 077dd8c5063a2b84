"""``distgraph doctor``: findings shown, and an exit code that says whether to worry."""

from __future__ import annotations

import pytest

from distgraph.ledger.doctor import Finding
from tests.unit.cli.conftest import Call

FINE = Finding("ok", "version", "redis 8.0.4.")
CAREFUL = Finding("warn", "persistence", "Nothing is kept.", "Set appendonly yes.")


def test_a_fit_server(call: Call) -> None:
    answer = call("doctor", diagnose=lambda url: [FINE, CAREFUL])
    assert answer.code == 0
    assert answer.out.splitlines() == [
        "redis://127.0.0.1:6379/0",
        "  ok     redis 8.0.4.",
        "  warn   Nothing is kept.",
        "         Set appendonly yes.",
        "0 errors, 1 warning.",
    ]


def test_as_json_without_the_password(call: Call) -> None:
    answer = call("doctor", "--json", "--url", "redis://:hush@db:1/0", diagnose=lambda url: [FINE])
    assert answer.json == {
        "url": "redis://:***@db:1/0",
        "ok": True,
        "findings": [{"level": "ok", "code": "version", "message": "redis 8.0.4.", "fix": ""}],
    }


def test_a_broker_of_its_own_is_looked_at_too(call: Call) -> None:
    words = ("doctor", "--url", "redis://a:1/0", "--broker-url", "redis://:hush@b:1/0")
    looks = {"diagnose": lambda url: [FINE], "diagnose_broker": lambda url: [CAREFUL], "workers": lambda *_: []}
    assert call(*words, **looks).out.splitlines() == [
        "redis://a:1/0",
        "  ok     redis 8.0.4.",
        "redis://:***@b:1/0",
        "  warn   Nothing is kept.",
        "         Set appendonly yes.",
        "0 errors, 1 warning.",
    ]
    looks["diagnose_broker"] = lambda url: [Finding("error", "server-unreachable", "No.")]
    answer = call(*words, "--json", **looks)
    assert answer.code == 3
    assert answer.json["ok"] is False
    assert answer.json["broker"]["url"] == "redis://:***@b:1/0"
    assert [finding["code"] for finding in answer.json["broker"]["findings"]] == ["server-unreachable"]


def test_workers_that_cannot_keep_time_limits(call: Call) -> None:
    """Nor does it ask for them where nothing can be asked."""
    threads = {"name": "w1", "pool": "threads", "unstoppable": {"slow": ["a", "b"]}}
    earlier = {"name": "w0", "pool": "prefork"}
    fine = call("doctor", diagnose=lambda url: [FINE], workers=lambda url, namespace: [threads, earlier])
    assert fine.code == 0
    assert "Worker w1 (pool threads) cannot stop a node: the time limits of a, b in graph 'slow'" in fine.out
    assert "--pool prefork" in fine.out
    assert fine.out.endswith("0 errors, 1 warning.\n")
    wrong = call("doctor", diagnose=lambda url: [Finding("error", "server-unreachable", "No.")], workers=None)
    assert wrong.code == 3


def test_nodes_that_do_nothing_but_fail(call: Call) -> None:
    found = {"census\nfetch": 250, "census\nflaky": 100}
    answer = call("doctor", diagnose=lambda url: [FINE], failing=lambda url, namespace: found)
    assert answer.code == 0
    assert "Node 'fetch' of graph 'census' does nothing but fail: 250 failures since it last worked." in answer.out
    assert "Its retries wait 20 s." in answer.out
    assert "flaky" not in answer.out


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("url", 2),
        ("server-unreachable", 3),
        ("server-auth", 3),
        ("server-setting", 3),
        ("server-loading", 75),
        ("aof-write", 1),
    ],
)
def test_an_error_ends_as_any_other_command_would_there(call: Call, code: str, expected: int) -> None:
    answer = call("doctor", "--json", diagnose=lambda url: [CAREFUL, Finding("error", code, "No.")])
    assert answer.code == expected
    assert answer.json["ok"] is False


def test_a_server_that_is_not_there_is_a_finding_of_the_real_doctor(call: Call) -> None:
    answer = call("doctor", "--url", "redis://127.0.0.1:1/0", "--json")
    assert answer.code == 3
    assert answer.json["findings"][0]["code"] == "server-unreachable"
