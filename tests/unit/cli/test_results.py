"""Results reach their file whole or not at all, and never take the place of something else."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from distgraph.cli.results import check_target, result_file
from distgraph.errors import InputError


def refused(path: Path | str, *, overwrite: bool = False, source: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        check_target(str(path), overwrite=overwrite, source=source)
    return str(caught.value)


def test_rows_stand_one_a_line_when_the_block_is_over(tmp_path: Path) -> None:
    target = check_target(str(tmp_path / "out.jsonl"), overwrite=False)
    with result_file(target, overwrite=False) as file:
        file.write({"index": 0, "value": "ä"})
        file.write({"index": 1, "value": float("nan")})
        assert not target.exists()
        assert file.rows == 2
    assert target.read_text(encoding="utf-8") == '{"index":0,"value":"ä"}\n{"index":1,"value":null}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_nothing_is_left_where_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), result_file(tmp_path / "out.jsonl", overwrite=False) as file:
        file.write({"index": 0})
        raise KeyError("x")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old")
    assert "is there already" in refused(target)
    with result_file(check_target(str(target), overwrite=True), overwrite=True) as file:
        file.write({"new": True})
    assert json.loads(target.read_text()) == {"new": True}


def test_a_file_that_appears_meanwhile_is_kept_as_well(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    with pytest.raises(InputError, match="is there already"), result_file(target, overwrite=False):
        target.write_text("somebody else's")
    assert target.read_text() == "somebody else's"


def test_the_items_are_never_replaced_by_their_results(tmp_path: Path) -> None:
    source = tmp_path / "items.jsonl"
    source.write_text("{}")
    (tmp_path / "hard").hardlink_to(source)
    (tmp_path / "soft").symlink_to(source)
    for name in ("items.jsonl", "hard", "soft"):
        assert "the file of items itself" in refused(tmp_path / name, overwrite=True, source=str(source))


def test_where_results_cannot_go_is_said_before_the_work_begins(tmp_path: Path) -> None:
    assert "there is no directory" in refused(tmp_path / "no" / "out.jsonl")
    assert "it is a directory" in refused(tmp_path, overwrite=True)
    assert "no regular file" in refused("/dev/null", overwrite=True)


def test_a_link_to_nowhere_is_something_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").symlink_to(tmp_path / "elsewhere")
    assert "is there already" in refused(tmp_path / "out.jsonl")


def test_a_full_disk_is_told_with_what_to_do_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"no space left on device.*stay on the server"):  # noqa: SIM117
        with result_file(tmp_path / "out.jsonl", overwrite=False) as file:
            file.write({})
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_connection_is_not_mistaken_for_one_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), result_file(tmp_path / "out.jsonl", overwrite=False):
        raise ConnectionResetError(errno.ECONNRESET, "gone")
