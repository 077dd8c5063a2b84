"""Faults: read from text, armed only where two variables agree, counted over processes, striking once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distgraph.chaos.fault import (
    CHAOS_VARIABLE,
    FAULT_VARIABLE,
    FOLLOW,
    Directory,
    Fault,
    Striker,
    arm_from,
    moments,
    points,
)
from distgraph.errors import ConfigError
from distgraph.ledger import seam


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory.make(tmp_path / "chaos")


@pytest.fixture(autouse=True)
def disarmed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(seam, "nemesis", None)
    yield


class TestText:
    def test_there_and_back(self) -> None:
        fault = Fault("commit", "reply-lost", "kill-child", 2)
        assert Fault.parse(str(fault)) == fault
        assert Fault.parse("node:before:stop") == Fault("node", "before", "stop", 1)

    @pytest.mark.parametrize(
        "text",
        [
            *("", "commit", "nothing:before:stop:1", "commit:during:stop:1", "commit:before:hug:1"),
            *("commit:before:stop:x", "commit:before:stop:1:2", "node:reply-lost:stop:1"),
        ],
    )
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(ConfigError):
            Fault.parse(text)

    def test_a_mark_has_no_reply_to_lose(self) -> None:
        assert moments("node") == ("before", "after")
        assert moments("commit") == moments("beat") == ("before", "after", "reply-lost")
        assert set(seam.MARKS) | set(seam.CALLS) < set(points())


class TestArming:
    def test_nothing_is_set(self) -> None:
        assert arm_from({}, "worker") == ""
        assert seam.nemesis is None

    @pytest.mark.parametrize("name", [CHAOS_VARIABLE, FAULT_VARIABLE])
    def test_one_variable_arms_nothing_and_is_told(self, name: str, directory: Directory) -> None:
        given = {CHAOS_VARIABLE: str(directory.path), FAULT_VARIABLE: "commit:before:kill-child:1"}
        assert "ignored" in arm_from({name: given[name]}, "worker")
        assert seam.nemesis is None

    def test_both_do(self, directory: Directory) -> None:
        said = arm_from({CHAOS_VARIABLE: str(directory.path), FAULT_VARIABLE: "node:before:stop:3"}, "worker")
        assert "CHAOS" in said
        assert isinstance(seam.nemesis, Striker)
        assert seam.nemesis.fixed == Fault("node", "before", "stop", 3)

    def test_a_directory_that_no_chaos_run_made(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="chaos run"):
            arm_from({CHAOS_VARIABLE: str(tmp_path), FAULT_VARIABLE: FOLLOW}, "worker")
        assert seam.nemesis is None


class TestStriking:
    """The server's death stands for all: it is the one that a test survives."""

    @pytest.fixture
    def victim(self, directory: Directory) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        directory.server(process.pid)
        yield process
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()

    def test_at_its_point_its_moment_and_its_role(self, directory: Directory, victim: subprocess.Popen[bytes]) -> None:
        directory.arm(1, "worker", Fault("node", "after", "kill-server", 2))
        worker, client = Striker(directory, "worker"), Striker(directory, "client")
        worker.reach("node", "before")
        worker.reach("load", "after")
        client.reach("node", "after")
        client.reach("node", "after")
        worker.reach("node", "after")
        assert directory.struck(1) is None
        Striker(directory, "worker").reach("node", "after")  # another process: they count together
        assert directory.struck(1) == (os.getpid(), os.getpgrp())
        assert victim.wait(10) == -signal.SIGKILL

    def test_once(self, directory: Directory) -> None:
        directory.arm(1, "worker", Fault("node", "after", "kill-server", 1))
        for _ in range(3):
            Striker(directory, "worker").reach("node", "after")
        assert sorted(path.name for path in directory.path.iterdir()) == ["fault", "hit-1-1", "struck-1"]

    def test_a_lost_reply_is_asked_for_again(self, directory: Directory) -> None:
        directory.arm(1, "worker", Fault("commit", "reply-lost", "kill-server", 1))
        asked: list[int] = []

        def send() -> int:
            asked.append(1)
            return len(asked)

        assert Striker(directory, "worker").call(["settle", "commit"], send) == 2
        assert Striker(directory, "worker").call(["commit"], send) == 3
        assert directory.struck(1) is not None

    def test_disarmed(self, directory: Directory) -> None:
        directory.arm(1, "worker", Fault("node", "before", "kill-server", 1))
        directory.disarm()
        Striker(directory, "worker").reach("node", "before")
        assert directory.struck(1) is None
