"""A tethered process ends with its parent, however that ends, and takes its own children along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distgraph.errors import ProcessFailedError
from distgraph.ledger.tether import TetheredProcess
from tests.waiting import wait_until

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
#: a program with a child, both of which say who they are
FAMILY = 'echo "$$"; sleep 1000 & echo "$!"; wait'


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def family(log: Path) -> Iterator[TetheredProcess]:
    process = TetheredProcess(["sh", "-c", FAMILY], log=log)
    wait_until(lambda: len(log.read_text().split()) == 2)
    yield process
    process.reap()


def members(log: Path) -> list[int]:
    return [int(pid) for pid in log.read_text().split()]


def runs(pid: int) -> bool:
    """True while the process exists; one that waits to be reaped does not count."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def test_its_pid_is_the_programs_own(family: TetheredProcess, log: Path) -> None:
    assert members(log)[0] == family.pid
    assert family.alive
    assert family.exit_code is None
    assert os.getpgid(family.pid) == os.getsid(family.pid) == family.pid


def test_reaping_ends_the_whole_group(family: TetheredProcess, log: Path) -> None:
    family.reap()
    wait_until(lambda: not any(map(runs, members(log))))
    assert not family.alive
    family.reap()


def test_a_signal_to_the_program_or_to_all(family: TetheredProcess, log: Path) -> None:
    parent, child = members(log)
    family.signal(signal.SIGKILL)
    assert family.wait(10)
    assert family.exit_code == -signal.SIGKILL
    assert runs(child)
    os.kill(parent, 0)  # dead but not reaped: no other process can have its pid
    family.signal_group(signal.SIGKILL)
    wait_until(lambda: not runs(child))


def test_signals_after_the_end_reach_nobody(family: TetheredProcess) -> None:
    family.reap()
    family.signal(signal.SIGKILL)
    family.signal_group(signal.SIGKILL)


def test_exit_code_and_output(log: Path) -> None:
    process = TetheredProcess(["sh", "-c", "echo out; echo err >&2; exit 3"], log=log)
    assert process.wait(10)
    assert process.exit_code == 3
    process.reap()
    assert process.exit_code == 3
    assert process.log_tail() == "out\nerr"


def test_the_tail_of_a_long_log_is_short(log: Path) -> None:
    process = TetheredProcess(["sh", "-c", "seq 1 100000"], log=log)
    assert process.wait(10)
    process.reap()
    assert process.log_tail(3) == "99998\n99999\n100000"
    log.unlink()
    assert process.log_tail() == ""


def test_waiting_is_bounded(family: TetheredProcess) -> None:
    assert not family.wait(0.01)


def test_it_cannot_read_what_was_typed(log: Path) -> None:
    """A child that reads the terminal would steal the user's input."""
    process = TetheredProcess(["cat"], log=log)
    assert process.wait(10)
    assert process.exit_code == 0
    process.reap()


def test_environment_and_directory_are_given(log: Path, tmp_path: Path) -> None:
    process = TetheredProcess(["/bin/sh", "-c", 'echo "$X"; pwd'], log=log, cwd=tmp_path, env={"X": "a b"})
    assert process.wait(10)
    process.reap()
    assert process.log_tail() == f"a b\n{tmp_path}"


def test_a_program_that_does_not_exist_says_so(log: Path) -> None:
    process = TetheredProcess(["no-such-program"], log=log)
    assert process.wait(10)
    assert process.exit_code == 127
    assert "no-such-program" in process.log_tail()
    process.reap()


def test_a_directory_that_does_not_exist_is_an_error(log: Path, tmp_path: Path) -> None:
    with pytest.raises(ProcessFailedError, match="Cannot start cat"):
        TetheredProcess(["cat"], log=log, cwd=tmp_path / "missing")


PARENT = f"""
import os, signal, sys
from pathlib import Path
from distgraph.ledger.tether import TetheredProcess
log, scratch = map(Path, sys.argv[1:])
scratch.mkdir()
process = TetheredProcess(["sh", "-c", {FAMILY!r}], log=log, remove=scratch)
print("started", flush=True)
"""


@pytest.mark.parametrize("then", ["signal.pause()", "os._exit(0)", "sys.exit()", "raise ValueError"])
def test_it_ends_with_its_parent(then: str, log: Path, tmp_path: Path) -> None:
    """Killed, gone without a word, or ended without a thought for its child: nothing is left behind."""
    scratch = tmp_path / "scratch"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT + then, str(log), str(scratch)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert parent.stdout is not None
    with parent.stdout as said:
        assert said.readline() == b"started\n"
    if then == "signal.pause()":
        parent.kill()
        assert parent.wait(10) == -signal.SIGKILL
    parent.wait(10)
    wait_until(lambda: not any(map(runs, members(log))), what="the process and its child are gone")
    wait_until(lambda: not scratch.exists(), what="its directory is removed")
