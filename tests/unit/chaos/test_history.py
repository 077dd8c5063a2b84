"""Histories survive those who write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from distgraph.chaos.history import Journal, of, read


def test_what_is_written_is_read_in_the_order_it_happened(tmp_path: Path) -> None:
    one, other = Journal(tmp_path, "one"), Journal(tmp_path, "other")
    one.write("a", "ok", 3.0, run="r")
    other.write("b", "info", 1.0)
    one.write("c", "fail", 2.0)
    events = read(tmp_path)
    assert [(event["op"], event["f"]) for event in events] == [("b", "info"), ("c", "fail"), ("a", "ok")]
    assert events[2]["run"] == "r"
    assert {event["pid"] for event in events} == {os.getpid()}
    assert [event["op"] for event in of(events, "a", "c")] == ["c", "a"]


def test_a_fork_has_a_file_of_its_own(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "node")
    journal.write("parent", "ok")
    pid = os.fork()
    if pid == 0:
        journal.write("child", "ok")
        os._exit(0)
    os.waitpid(pid, 0)
    journal.write("parent", "ok")
    assert {path.name for path in tmp_path.iterdir()} == {f"node-{os.getpid()}.jsonl", f"node-{pid}.jsonl"}
    assert [event["op"] for event in read(tmp_path)] == ["parent", "child", "parent"]


def test_a_line_cut_off_by_a_kill_is_left_out_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    Journal(tmp_path, "node").write("a", "ok")
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes() + b'{"t": 1, "op"')
    assert len(read(tmp_path)) == 1
    path.write_bytes(b"{]\n" + path.read_bytes())
    with pytest.raises(ValueError, match="line 1: no event"):
        read(tmp_path)


def test_close_and_go_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "one")
    journal.write("a", "ok")
    journal.close()
    journal.write("b", "ok")
    assert [event["op"] for event in read(tmp_path)] == ["a", "b"]
