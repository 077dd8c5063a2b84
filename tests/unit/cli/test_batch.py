"""``distgraph batch``: what each subcommand writes as text and as JSON, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distgraph.cli.keys import KeyIndex
from tests.unit.cli.conftest import Call
from tests.unit.cli.fakes import FakeCluster


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Five items, two of which fail."""
    path = tmp_path / "mixed.jsonl"
    path.write_text("".join(f'{{"n": {number}}}\n' for number in (1, -1, 2, -2, 3)))
    return path


# ------------------------------------------------------------ submit


def test_submit_says_how_to_follow_and_leaves(call: Call, cluster: FakeCluster, items: Path) -> None:
    answer = call("batch", "submit", "double", str(items), "--batch-id", "b1")
    assert answer.code == 0
    assert answer.out.splitlines() == [
        "Batch b1: 10 items submitted.",
        "Follow:   distgraph batch status b1 --watch",
        "Results:  distgraph batch results b1",
    ]
    assert len(cluster.batch("b1").items) == 10
    assert cluster.batch("b1").rows == {}


def test_submit_as_json(call: Call, items: Path) -> None:
    answer = call("batch", "submit", "double", str(items), "--batch-id", "b1", "--json")
    assert answer.json == {"batch_id": "b1", "items": 10, "bad_lines": 0, "repeated": 0}


def test_without_an_id_each_submission_gets_its_own(call: Call, cluster: FakeCluster, items: Path) -> None:
    first, second = (call("batch", "submit", "double", str(items), "--json").json["batch_id"] for _ in range(2))
    assert first != second
    assert first.startswith("double-")


def test_the_words_to_copy_name_the_server_that_was_given_but_no_password(call: Call, items: Path) -> None:
    url = "redis://:hush@db:6379/0"
    answer = call("--url", url, "batch", "submit", "double", str(items), "--batch-id", "b1", "--namespace", "n")
    assert "distgraph batch results b1 --url 'redis://:***@db:6379/0' --namespace n" in answer.out
    assert "hush" not in answer.out + answer.err


@pytest.mark.parametrize(
    ("given", "kept"), [((), "default"), (("--retention", "12h"), 43_200.0), (("--retention", "never"), None)]
)
def test_submit_says_how_long_to_keep_it(
    call: Call, cluster: FakeCluster, items: Path, given: tuple[str, ...], kept: object
) -> None:
    assert call("batch", "submit", "double", str(items), *given).code == 0
    assert cluster.retentions == [kept]


def test_a_retention_that_is_no_time_is_refused(call: Call, cluster: FakeCluster, items: Path) -> None:
    answer = call("batch", "submit", "double", str(items), "--retention", "long")
    assert answer.code == 2
    assert "'long' is no length of time" in answer.err
    assert cluster.retentions == []


def test_limits_of_each_item(call: Call, cluster: FakeCluster, items: Path) -> None:
    call("batch", "submit", "double", str(items), "--time-limit", "2m", "--retry-budget", "3")
    assert cluster.limits == [{"time_limit": 120.0, "retry_budget": 3}]


def test_a_batch_is_deleted(call: Call, cluster: FakeCluster, items: Path) -> None:
    call("batch", "submit", "double", str(items), "--batch-id", "b1")
    answer = call("batch", "delete", "b1")
    assert (answer.code, answer.out) == (0, "Batch b1 is deleted.\n")
    assert cluster.batch("b1").deleted
    assert call("batch", "delete", "b1", "--json").json == {"batch_id": "b1", "deleted": True}
    assert call("batch", "delete", "b2").code == 2


def test_watch_waits_for_the_end(call: Call, cluster: FakeCluster, items: Path) -> None:
    answer = call("batch", "submit", "double", str(items), "--batch-id", "b1", "--watch")
    assert answer.code == 0
    assert "Batch b1: 10 of 10 done." in answer.out
    assert len(cluster.batch("b1").rows) == 10


def test_out_writes_a_row_for_every_item_in_order(call: Call, mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    answer = call("batch", "submit", "double", str(mixed), "--batch-id", "b1", "--out", str(out))
    assert answer.code == 1
    assert "3 of 5 done, 2 failed" in answer.out
    assert "5 rows in" in answer.out
    rows = lines(out)
    assert [row["index"] for row in rows] == [0, 1, 2, 3, 4]
    assert rows[0] == {"index": 0, "key": None, "run_id": "b1:0", "status": "done", "value": {"n": 2}}
    assert rows[1]["status"] == "failed"
    assert "value" not in rows[1]


def test_out_as_json(call: Call, mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    answer = call("batch", "submit", "double", str(mixed), "--batch-id", "b1", "--out", str(out), "--json")
    assert answer.code == 1
    assert answer.json["failed"] == 2
    assert answer.json["rows"] == 5
    assert answer.json["out"] == str(out)


def test_key_names_the_items(call: Call, cluster: FakeCluster, items: Path) -> None:
    call("batch", "submit", "double", str(items), "--batch-id", "b1", "--key", "id")
    assert cluster.batch("b1").keys[:2] == ["item-0", "item-1"]


def test_a_bad_line_stops_everything_before_it_begins(call: Call, cluster: FakeCluster, items: Path) -> None:
    items.write_text('{"n": 1}\n{"n": 2,}\n')
    answer = call("batch", "submit", "double", str(items))
    assert answer.code == 2
    assert "line 2, column 9" in answer.err
    assert "nothing was submitted" in answer.err
    assert cluster.all_batches == {}


def test_a_bad_line_as_json(call: Call, items: Path) -> None:
    items.write_text("[1]\n")
    answer = call("batch", "submit", "double", str(items), "--json")
    assert answer.code == 2
    assert answer.error["code"] == "INPUT_INVALID"
    assert "JSON array" in answer.error["message"]


def test_bad_lines_are_left_out_on_request_and_counted(call: Call, cluster: FakeCluster, items: Path) -> None:
    items.write_text('{"n": 1}\n{"n": 2,}\n{"n": 3}\n')
    answer = call("batch", "submit", "double", str(items), "--batch-id", "b1", "--on-bad-line", "skip")
    assert answer.code == 0
    assert "1 bad line left out:\n  line 2, column 9" in answer.err
    assert cluster.batch("b1").items == [{"n": 1}, {"n": 3}]


def test_items_can_come_from_a_pipe(call: Call, cluster: FakeCluster) -> None:
    answer = call("batch", "submit", "double", "-", "--batch-id", "b1", stdin=b'{"n": 1}\n{"n": 2}\n')
    assert answer.code == 0
    assert cluster.batch("b1").items == [{"n": 1}, {"n": 2}]


def test_a_bad_line_in_a_pipe_cancels_what_was_handed_over(call: Call, cluster: FakeCluster) -> None:
    answer = call("batch", "submit", "double", "-", stdin=b'{"n": 1}\n{"n": 2}\n{"n": }\n')
    assert answer.code == 2
    assert "standard input: line 3, column 7" in answer.err
    assert "2 items came before it" in answer.err
    (batch,) = cluster.all_batches.values()
    assert batch.cancelled


def test_a_batch_that_the_user_named_is_not_cancelled_for_a_bad_line(call: Call, cluster: FakeCluster) -> None:
    """It may be an older one, continued."""
    call("batch", "submit", "double", "-", "--batch-id", "mine", stdin=b'{"n": 1}\n{"n": }\n')
    assert not cluster.batch("mine").cancelled


@pytest.mark.parametrize("data", [b"", b"\n\n"])
def test_no_items_is_a_warning(call: Call, cluster: FakeCluster, items: Path, data: bytes) -> None:
    items.write_bytes(data)
    answer = call("batch", "submit", "double", str(items))
    assert (answer.code, answer.out) == (0, "0 items.\n")
    assert "holds no items" in answer.err
    assert cluster.all_batches == {}
    assert call("batch", "submit", "double", str(items), "--json").json["items"] == 0


def test_repeated_items_and_lookalike_keys_are_told(call: Call, items: Path) -> None:
    items.write_text('{"id": "a", "n": 1}\n{"id": "a", "n": 1}\n{"id": "A", "n": 1}\n')
    answer = call("batch", "submit", "double", str(items), "--key", "id")
    assert "1 line repeated an earlier item" in answer.err
    assert "1 key differ from another one only in case" in answer.err


def test_a_batch_that_no_worker_will_take_is_a_warning(
    call: Call, cluster: FakeCluster, items: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "workers", list)
    answer = call("batch", "submit", "double", str(items))
    assert answer.code == 0
    assert "no worker that serves double is alive" in answer.err


def test_an_id_with_other_content_is_refused(call: Call, items: Path) -> None:
    call("batch", "submit", "double", str(items), "--batch-id", "b1")
    items.write_text('{"n": 77}\n')
    answer = call("batch", "submit", "double", str(items), "--batch-id", "b1")
    assert answer.code == 2
    assert "[BATCH_EXISTS]" in answer.err


def test_an_unknown_graph_is_told_before_the_file_is_read(call: Call, items: Path) -> None:
    items.write_text("x")
    answer = call("batch", "submit", "tripple", str(items))
    assert answer.code == 2
    assert "[GRAPH_NOT_FOUND]" in answer.err


def test_where_results_cannot_go_nothing_is_submitted(call: Call, cluster: FakeCluster, items: Path) -> None:
    answer = call("batch", "submit", "double", str(items), "--out", str(items), "--overwrite")
    assert answer.code == 2
    assert "the file of items itself" in answer.err
    assert cluster.all_batches == {}


# ------------------------------------------------------------ Ctrl-C


def interrupted() -> None:
    raise KeyboardInterrupt


def test_ctrl_c_while_watching_detaches_and_says_how_to_come_back(
    call: Call, cluster: FakeCluster, items: Path
) -> None:
    call("batch", "submit", "double", str(items), "--batch-id", "b1")
    cluster.batch("b1").on_look = interrupted
    answer = call("batch", "status", "b1", "--watch")
    assert answer.code == 5
    assert "the batch goes on" in answer.err
    assert "distgraph batch status b1 --watch" in answer.err
    assert not cluster.batch("b1").cancelled
    assert call("batch", "status", "b1", "--watch", "--json").error["code"] == "INTERRUPTED"


def test_ctrl_c_before_results_are_written_names_the_command_that_writes_them(
    call: Call, cluster: FakeCluster, items: Path, tmp_path: Path
) -> None:
    call("batch", "submit", "double", str(items), "--batch-id", "b1")
    cluster.batch("b1").on_look = interrupted
    answer = call("batch", "submit", "double", str(items), "--batch-id", "b1", "--out", str(tmp_path / "out.jsonl"))
    assert answer.code == 5
    assert f"distgraph batch results b1 --out {tmp_path}/out.jsonl" in answer.err


def test_ctrl_c_while_the_items_are_checked_has_submitted_nothing(
    call: Call, cluster: FakeCluster, items: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KeyIndex, "seen", lambda self, item, line: interrupted())
    answer = call("batch", "submit", "double", str(items))
    assert answer.code == 5
    assert "nothing was submitted" in answer.err
    assert cluster.all_batches == {}


@pytest.mark.parametrize(
    ("given", "again"),
    [
        ((), ""),
        # With other limits it would be another batch.
        (("--time-limit", "3w", "--retry-budget", "7"), " --time-limit 1814400 --retry-budget 7"),
        (("--time-limit", "0.5", "--retry-budget", "unlimited"), " --time-limit 0.5 --retry-budget unlimited"),
    ],
)
def test_ctrl_c_while_submitting_names_the_command_that_goes_on(
    call: Call, cluster: FakeCluster, items: Path, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], again: str
) -> None:
    def stopped(self: object, item: object, line: int) -> bool:
        if line == 3 and cluster.all_batches:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(KeyIndex, "seen", stopped)
    answer = call("batch", "submit", "double", str(items), "--batch-id", "b1", *given)
    assert answer.code == 5
    assert "Interrupted after 2 items" in answer.err
    assert f"distgraph batch submit double {items} --batch-id b1{again}\n" in answer.err


# ------------------------------------------------------------ the others


@pytest.fixture
def done(call: Call, mixed: Path) -> str:
    """The id of a finished batch: three items done, two failed."""
    call("batch", "submit", "double", str(mixed), "--batch-id", "b1", "--watch")
    return "b1"


def test_status(call: Call, done: str) -> None:
    answer = call("batch", "status", done)
    assert answer.code == 0
    assert answer.out.startswith("Batch b1: 3 of 5 done, 2 failed.\n")
    assert "distgraph batch failures b1" in answer.out
    assert call("batch", "status", done, "--json").json == {
        "batch_id": "b1",
        "total": 5,
        "done": 3,
        "failed": 2,
        "cancelled": 0,
        "running": 0,
        "queued": 0,
        "sealed": True,
        "rate": 4.0,
        "eta": 0.0,
        "persistence": "standard",
        "interrupted": 0,
    }


def test_status_while_it_runs(call: Call, items: Path) -> None:
    call("batch", "submit", "double", str(items), "--batch-id", "b1")
    assert "4 of 10 done, 2 running, 4 queued, 4.0/s, 1.5 s left." in call("batch", "status", "b1").out


def test_watching_a_batch_with_failures_ends_with_1(call: Call, done: str) -> None:
    assert call("batch", "status", done, "--watch").code == 1


def test_results_are_json_lines(call: Call, done: str) -> None:
    answer = call("batch", "results", done, "--ordered")
    assert answer.code == 0
    rows = [json.loads(line) for line in answer.out.splitlines()]
    assert [row["status"] for row in rows] == ["done", "failed", "done", "failed", "done"]
    assert call("batch", "results", done, "--ordered", "--json").json == {"batch_id": "b1", "results": rows}


def test_results_to_a_file(call: Call, done: str, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert call("batch", "results", done, "--out", str(out), "--ordered").code == 0
    assert len(lines(out)) == 5
    again = call("batch", "results", done, "--out", str(out))
    assert again.code == 2
    assert "--overwrite" in again.err
    answer = call("batch", "results", done, "--out", str(out), "--overwrite", "--json")
    assert answer.json == {"batch_id": "b1", "out": str(out), "rows": 5}


def test_failures_are_summed_up_by_kind_with_the_first_of_them(call: Call, done: str) -> None:
    answer = call("batch", "failures", done)
    assert answer.code == 0
    assert "2 items failed" in answer.out
    assert " ValueError " in answer.out
    assert "n is -1, which is below zero" in answer.out
    assert "second line" not in answer.out


def test_failures_as_json_are_complete(call: Call, done: str) -> None:
    found = call("batch", "failures", done, "--json").json["failures"]
    assert [row["index"] for row in found] == [1, 3]
    assert found[0]["error"]["message"].endswith("second line")


def test_of_many_failures_a_summary_is_shown_and_not_a_flood(call: Call, items: Path) -> None:
    items.write_text("".join(f'{{"n": -{number}}}\n' for number in range(1, 1001)))
    call("batch", "submit", "double", str(items), "--batch-id", "b1", "--watch")
    answer = call("batch", "failures", "b1")
    assert "1,000 items failed" in answer.out
    assert len(answer.out.splitlines()) < 40


def test_no_failures(call: Call, items: Path) -> None:
    call("batch", "submit", "double", str(items), "--batch-id", "b1", "--watch")
    assert call("batch", "failures", "b1").out == "Batch b1: no item has failed.\n"
    assert call("batch", "failures", "b1", "--json").json == {"batch_id": "b1", "failures": []}


def test_cancel(call: Call, cluster: FakeCluster, items: Path) -> None:
    call("batch", "submit", "double", str(items), "--batch-id", "b1")
    answer = call("batch", "cancel", "b1", "--json")
    assert answer.code == 0
    assert answer.json["cancelled"] == 10
    assert "10 cancelled" in call("batch", "status", "b1").out


def test_retry(call: Call, cluster: FakeCluster, done: str) -> None:
    cluster.batch(done).function = lambda state: {"n": 0}
    assert call("batch", "retry", done).out == "Batch b1: 2 failed items again on the way.\n"
    assert call("batch", "status", done, "--watch").code == 0
    assert call("batch", "retry", done, "--json").json == {"batch_id": "b1", "retried": 0}


def test_retry_and_watch(call: Call, cluster: FakeCluster, done: str) -> None:
    cluster.batch(done).function = lambda state: {"n": 0}
    answer = call("batch", "retry", done, "--watch", "--json")
    assert answer.code == 0
    assert answer.json["retried"] == 2
    assert answer.json["done"] == 5


def test_list(call: Call, done: str) -> None:
    assert "b1" in call("batch", "list").out
    (row,) = call("batch", "list", "--json").json["batches"]
    assert (row["batch_id"], row["graph"], row["failed"]) == ("b1", "double", 2)
    assert row["submitted"] == "2030-01-01T12:30:00+00:00"


def test_an_empty_list(call: Call) -> None:
    assert "No batch" in call("batch", "list").out
    assert call("batch", "list", "--json").json == {"batches": []}


@pytest.mark.parametrize("verb", ["status", "results", "failures", "cancel", "retry"])
def test_an_unknown_batch_is_a_wrong_name(call: Call, verb: str) -> None:
    answer = call("batch", verb, "nope")
    assert answer.code == 2
    assert answer.err == "Error [BATCH_NOT_FOUND]: There is no batch 'nope'.\n"
    assert call("batch", verb, "nope", "--json").error["code"] == "BATCH_NOT_FOUND"


def test_every_client_is_closed(call: Call, cluster: FakeCluster, done: str) -> None:
    before = cluster.closed
    call("batch", "status", done)
    call("batch", "status", "nope")
    assert cluster.closed == before + 2
