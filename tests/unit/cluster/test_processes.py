"""Child processes: killed in every way a worker can die, drained, paused, and reported with their log."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from distgraph.cluster.processes import ChildProcess, FlowerProcess, WorkerProcess, children_of
from distgraph.errors import ConfigError, ProcessFailedError
from tests.waiting import wait_until

pytestmark = pytest.mark.unit

#: A parent with two children; it drains for a moment when told to stop. It waits for that signal itself, since a handler
#: is run too late where the signal arrives just before ``signal.pause()`` begins to wait.
POOL = """
import os, signal, sys, time
for _ in range(2):
    if os.fork() == 0:
        while True:
            signal.pause()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("ready", flush=True)
signal.sigwait([signal.SIGTERM])
time.sleep(float(sys.argv[1]))
print("drained", flush=True)
os._exit(0)
"""

Start = Callable[..., ChildProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a program; whatever it left behind is killed at the end."""
    started: list[ChildProcess] = []

    def run(program: str, *arguments: str, **options: object) -> ChildProcess:
        log = tmp_path / f"{len(started)}.log"
        command = [sys.executable, "-c", program, *arguments]
        process = ChildProcess("The pool", command, log=log, **options)  # type: ignore[arg-type]
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill_tree()


def ready(process: ChildProcess) -> ChildProcess:
    process.wait_ready(10, lambda: "ready" in process.log.read_text())
    return process


def state_of(pid: int) -> str:
    """One letter, as ps shows it; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def gone(*pids: int) -> bool:
    return all(state_of(pid) in ("", "Z", "X") for pid in pids)


def test_its_children_are_known(start: Start) -> None:
    process = ready(start(POOL, "0"))
    children = process.children()
    assert len(children) == 2
    assert process.pid not in children
    assert set(children) == set(children_of(process.pid))
    assert process.pid in children_of(os.getpid())


def test_killing_a_child_leaves_the_rest(start: Start) -> None:
    process = ready(start(POOL, "0"))
    before = process.children()
    killed = process.kill_child()
    assert killed in before
    wait_until(lambda: process.children() == [pid for pid in before if pid != killed])
    assert process.alive


def test_there_may_be_no_child_to_kill(start: Start) -> None:
    process = ready(start("print('ready', flush=True); import signal; signal.pause()"))
    with pytest.raises(ProcessFailedError, match="has no child"):
        process.kill_child()


def test_killing_the_tree_leaves_nothing(start: Start) -> None:
    process = ready(start(POOL, "0"))
    family = [process.pid, *process.children()]
    process.kill_tree()
    wait_until(lambda: gone(*family))
    assert process.exit_code == -signal.SIGKILL
    assert process.children() == []


def test_killing_the_process_alone_leaves_its_children(start: Start) -> None:
    """What the children of a dead worker do is theirs to show: a test must be able to see it."""
    process = ready(start(POOL, "0"))
    children = process.children()
    process.kill()
    assert process.wait(10)
    assert not gone(*children)
    process.kill_tree()
    wait_until(lambda: gone(*children))


def test_stopping_lets_it_drain(start: Start) -> None:
    process = ready(start(POOL, "0.1"))
    family = [process.pid, *process.children()]
    assert process.stop(20) is True
    assert "drained" in process.log.read_text()
    assert process.exit_code == 0
    wait_until(lambda: gone(*family))
    assert process.stop() is True


def test_a_drain_that_takes_too_long_is_cut_off(start: Start) -> None:
    process = ready(start(POOL, "1000"))
    assert process.stop(0.1) is False
    assert process.exit_code == -signal.SIGKILL


def test_a_paused_process_stands_still_with_its_children(start: Start) -> None:
    process = ready(start(POOL, "0"))
    family = [process.pid, *process.children()]
    process.pause()
    wait_until(lambda: {state_of(pid) for pid in family} == {"T"})
    assert process.alive
    process.resume()
    wait_until(lambda: "T" not in {state_of(pid) for pid in family})


def test_a_paused_process_can_be_stopped(start: Start) -> None:
    process = ready(start(POOL, "0"))
    process.pause()
    assert process.stop(20) is True


def test_a_block_stops_it_at_its_end(start: Start) -> None:
    with ready(start(POOL, "0")) as process:
        assert process.alive
    assert process.exit_code == 0


def test_one_that_ends_before_it_is_ready_shows_its_log_at_once(start: Start) -> None:
    process = start("print('cannot import name x from redis://:hunter2@h/0'); raise SystemExit(4)")
    with pytest.raises(ProcessFailedError) as caught:
        process.wait_ready(60, lambda: False)
    text = str(caught.value)
    assert "The pool ended (exit code 4) before it was ready" in text
    assert "cannot import name x" in text
    assert "hunter2" not in text


def test_one_that_is_not_ready_in_time(start: Start) -> None:
    process = start(POOL, "0")
    with pytest.raises(ProcessFailedError, match=r"was not ready after 0\.05 s"):
        process.wait_ready(0.05, lambda: False)


def test_it_can_import_what_its_parent_can(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs beside a script are found by workers too, wherever the script is run from."""
    (tmp_path / "beside.py").write_text("print('ready')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir("/")
    process = start("import beside")
    process.wait_ready(10, lambda: "ready" in process.log.read_text())


def test_variables_can_be_added(start: Start) -> None:
    process = start("import os; print(os.environ['X'], 'PATH' in os.environ)", env={"X": "y"})
    assert process.wait(10)
    assert process.log.read_text() == "y True\n"


def environment_of(process: ChildProcess) -> dict[str, str]:
    environment, command = (Path(f"/proc/{process.pid}/{name}") for name in ("environ", "cmdline"))
    # Before it becomes another program it has this process's, and while it does so the kernel shows it without any.
    wait_until(lambda: process.command[-1].encode() in command.read_bytes().split(b"\0") and environment.read_bytes())
    # It has no server and would soon be gone, and its environment with it.
    process.pause()
    pairs = environment.read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def worker(tmp_path: Path, url: str, broker_url: str = "") -> WorkerProcess:
    return WorkerProcess(
        graphs=["shop.graphs", "bank:flow"],
        url=url,
        namespace="ns",
        name="w1",
        log=tmp_path / "log",
        pool="threads",
        concurrency=3,
        broker_url=broker_url,
        arguments=["--queues", "gpu"],
    )


def test_a_worker_is_started_by_the_command_line(tmp_path: Path) -> None:
    process = worker(tmp_path, "redis://127.0.0.1:1/0")
    process.kill_tree()
    assert process.name == "Worker w1"
    assert process.command == (
        *(sys.executable, "-m", "distgraph", "worker", "--graphs", "shop.graphs,bank:flow", "--pool", "threads"),
        *("--concurrency", "3", "--url", "redis://127.0.0.1:1/0", "--namespace", "ns", "--name", "w1"),
        *("--queues", "gpu"),
    )


def test_a_password_is_in_no_command_line(tmp_path: Path) -> None:
    """A command line is seen by every user of the machine, an environment by its owner alone."""
    process = worker(tmp_path, "redis://:hunter2@127.0.0.1:1/0")
    try:
        assert "hunter2" not in " ".join(process.command)
        assert "--url" not in process.command
        assert environment_of(process)["DISTGRAPH_URL"] == "redis://:hunter2@127.0.0.1:1/0"
    finally:
        process.kill_tree()


def test_a_broker_of_its_own_is_an_argument_too(tmp_path: Path) -> None:
    process = worker(tmp_path, "redis://127.0.0.1:1/0", broker_url="redis://127.0.0.1:2/0")
    try:
        assert "--broker-url redis://127.0.0.1:2/0" in " ".join(process.command)
    finally:
        process.kill_tree()


@pytest.mark.parametrize(
    ("url", "broker_url"),
    [("redis://h:1/0", "redis://:hunter2@h:2/0"), ("redis://:hunter2@h:1/0", "redis://h:2/0")],
)
def test_where_one_has_a_password_both_are_in_the_environment(tmp_path: Path, url: str, broker_url: str) -> None:
    """A broker in the environment belongs to the server there."""
    process = worker(tmp_path, url, broker_url=broker_url)
    try:
        assert "redis://" not in " ".join(process.command)
        environment = environment_of(process)
        assert (environment["DISTGRAPH_URL"], environment["DISTGRAPH_BROKER_URL"]) == (url, broker_url)
    finally:
        process.kill_tree()


def test_the_broker_of_this_process_is_not_its_childs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTGRAPH_BROKER_URL", "redis://elsewhere")
    process = worker(tmp_path, "redis://127.0.0.1:1/0")
    try:
        assert environment_of(process)["DISTGRAPH_BROKER_URL"] == ""
    finally:
        process.kill_tree()


def test_a_wrong_address_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        worker(tmp_path, "127.0.0.1:1")
    assert not (tmp_path / "log").exists()


def test_flower_is_started_by_the_command_line(tmp_path: Path) -> None:
    process = FlowerProcess(url="redis://127.0.0.1:1/0", namespace="ns", port=5556, log=tmp_path / "log")
    process.kill_tree()
    assert process.command == (
        *(sys.executable, "-m", "distgraph", "flower", "--url", "redis://127.0.0.1:1/0"),
        *("--namespace", "ns", "--port", "5556"),
    )
