"""A stage: what starts together, is drained together, and that nothing is left running however it ends."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import distgraph.cluster
from distgraph.cli import stage as module
from distgraph.cli.ports import chosen, free_port, is_free
from distgraph.cli.stage import Settings, Stage, served_by_default
from distgraph.errors import ProcessFailedError


class Process:
    """A worker or Flower that only remembers what was asked of it."""

    def __init__(self, world: World, name: str, options: dict[str, Any]) -> None:
        self.world, self.name, self.options = world, name, options
        self.pid = 100 + len(world.processes)
        self.log = options["log"]
        self.alive = True
        self.asked_to_stop = threading.Event()
        world.processes.append(self)

    def wait_ready(self, timeout: float, is_ready: Any) -> None:
        if self.name in self.world.broken:
            raise ProcessFailedError(f"{self.name} ended before it was ready.")
        assert self.name == "Flower" or is_ready()

    def stop(self) -> bool:
        self.asked_to_stop.set()
        self.world.on_stop(self)
        self.alive = False
        return True

    def kill_tree(self) -> None:
        self.alive = False


class World:
    """What a stage finds where the real server, cluster and processes would be."""

    def __init__(self) -> None:
        self.processes: list[Process] = []
        self.broken: set[str] = set()
        self.closed: list[str] = []
        self.on_stop: Any = lambda process: None

    def worker(self, **options: Any) -> Process:
        return Process(self, f"Worker {options['name']}", options)

    def flower(self, **options: Any) -> Process:
        return Process(self, "Flower", options)

    def server(self, port: int) -> Any:
        return _closing(self, "server", url=f"redis://127.0.0.1:{port}/0", alive=True, directory=Path("/logs"))

    def connect(self, url: str, namespace: str, broker_url: str) -> Any:
        return _closing(self, "cluster", workers=self.beats)

    def beats(self) -> list[Any]:
        return [SimpleNamespace(pid=one.pid, graphs=("b", "a")) for one in self.processes if one.alive]


def _closing(world: World, name: str, **fields: Any) -> Any:
    class Closing(SimpleNamespace):
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            world.closed.append(name)

    return Closing(**fields)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    from distgraph.cluster import processes
    from distgraph.ledger import server

    made = World()
    monkeypatch.setattr(processes, "WorkerProcess", made.worker)
    monkeypatch.setattr(processes, "FlowerProcess", made.flower)
    monkeypatch.setattr(server, "EmbeddedServer", made.server)
    monkeypatch.setattr(distgraph.cluster, "Cluster", SimpleNamespace(connect=made.connect), raising=False)
    return made


def stage(said: list[str] | None = None, **settings: Any) -> Stage:
    return Stage(Settings(graphs=("g",), port=7, flower_port=8, **settings), (said if said is not None else []).append)


def test_everything_is_started_told_and_drained(world: World) -> None:
    said: list[str] = []
    with stage(said, workers=2, pool="threads", concurrency=3, namespace="n") as made:
        assert [process.name for process in world.processes] == ["Worker worker-1", "Worker worker-2", "Flower"]
        options = world.processes[0].options
        assert (options["graphs"], options["pool"], options["concurrency"]) == (("g",), "threads", 3)
        assert (options["url"], options["namespace"]) == ("redis://127.0.0.1:7/0", "n")
        assert made.served() == ["a", "b"]
        assert made.row()["workers"][1] == {"name": "worker-2", "pid": 101, "log": "/logs/worker-2.log"}
    assert said[0] == "Server:   redis://127.0.0.1:7/0"
    assert said[1:3] == ["Worker:   worker-1, pid 100", "Worker:   worker-2, pid 101"]
    assert said[3].startswith("Flower:   http://127.0.0.1:8  user distgraph, password ")
    assert all(process.asked_to_stop.is_set() for process in world.processes)
    assert world.closed == ["cluster", "server"]


def test_flower_gets_its_password_through_the_environment(world: World) -> None:
    with stage() as made:
        flower = world.processes[-1]
        assert flower.options["env"]["DISTGRAPH_FLOWER_PASSWORD"] == made.flower_password
        assert made.row()["flower"]["password"] == made.flower_password


def test_without_flower(world: World) -> None:
    with stage(flower=False) as made:
        assert "Flower" not in [process.name for process in world.processes]
        assert made.row()["flower"] is None


def test_where_flower_is_not_installed_it_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "installed", lambda: False)
    said: list[str] = []
    with stage(said):
        assert any("not installed" in line for line in said)


def test_workers_drain_at_the_same_time(world: World) -> None:
    """The first waits until the second has been asked, too."""

    def together(process: Process) -> None:
        assert all(one.asked_to_stop.wait(10) for one in world.processes)

    world.on_stop = together
    with stage(workers=2):
        pass
    assert not any(process.alive for process in world.processes)


@pytest.mark.parametrize("broken", ["Worker worker-2", "Flower"])
def test_where_one_does_not_start_none_is_left(world: World, broken: str) -> None:
    world.broken.add(broken)
    with pytest.raises(ProcessFailedError), stage():
        pytest.fail("started")
    assert not any(process.alive for process in world.processes)
    assert world.closed == ["cluster", "server"]


def test_after_an_error_nobody_waits_for_a_drain(world: World) -> None:
    with pytest.raises(ZeroDivisionError), stage():
        raise ZeroDivisionError
    assert not any(process.alive or process.asked_to_stop.is_set() for process in world.processes)
    assert world.closed == ["cluster", "server"]


def test_ctrl_c_drains(world: World) -> None:
    with pytest.raises(KeyboardInterrupt), stage():
        raise KeyboardInterrupt
    assert all(process.asked_to_stop.is_set() for process in world.processes)


def test_a_second_ctrl_c_kills(world: World) -> None:
    def impatient(process: Process) -> None:
        raise KeyboardInterrupt

    world.on_stop = impatient
    with pytest.raises(KeyboardInterrupt), stage():
        pass
    assert not any(process.alive for process in world.processes)
    assert world.closed == ["cluster", "server"]


def test_a_stage_without_server_or_workers_cannot_go_on(world: World) -> None:
    with stage(workers=1, flower=False) as made:
        made.check()
        world.processes[0].alive = False
        with pytest.raises(ProcessFailedError, match="The last worker has ended"):
            made.check()
        replacement = made.begin_worker()
        assert made.beats(replacement)
        made.check()
        made.server.alive = False  # type: ignore[misc] # the fake's is a plain attribute
        with pytest.raises(ProcessFailedError, match="The server has ended"):
            made.check()


def test_in_a_repository_its_own_graphs_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert served_by_default() == ("workers.graphs",)


# ------------------------------------------------------------ ports


def test_a_port_that_was_asked_for_is_taken_as_it_is() -> None:
    assert chosen(0, 6379) == 0
    assert chosen(1234, 6379) == 1234


def test_the_usual_port_is_taken_if_it_is_free() -> None:
    import socket

    usual = free_port()
    assert chosen(None, usual) == usual
    with socket.socket() as other:
        other.bind(("127.0.0.1", usual))
        other.listen()
        assert not is_free(usual)
        assert chosen(None, usual) == 0
