"""``distgraph up``: what it starts, what it prints, how it ends."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from distgraph.cli import up as module
from distgraph.cli.stage import SAMPLES
from distgraph.errors import ProcessFailedError
from tests.unit.cli.conftest import Answer, Call
from tests.unit.cli.fakes import FakeCluster, FakeStage

Up = Callable[..., Answer]


class Stages:
    """Makes fake stages and keeps them; ``looks`` are handed to the next one."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.looks: list[Callable[[FakeStage], None]] = []
        self.made: list[FakeStage] = []

    def __call__(self, settings: Any, say: Any) -> FakeStage:
        stage = FakeStage(self.cluster, settings, say)
        stage.looks = [lambda look=look: look(stage) for look in self.looks]  # type: ignore[misc]
        self.made.append(stage)
        return stage

    @property
    def settings(self) -> Any:
        return self.made[-1].settings


@pytest.fixture
def stages(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> Stages:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.0)
    return Stages(cluster)


@pytest.fixture
def up(call: Call, stages: Stages) -> Up:
    return lambda *words: call("up", *words, stage=stages)


def test_it_prints_the_addresses_and_ends_well_with_ctrl_c(up: Up, stages: Stages) -> None:
    answer = up()
    assert answer.code == 0
    assert "Server:   started" in answer.err
    assert "Graphs:   double" in answer.out
    assert "export DISTGRAPH_URL=redis://127.0.0.1:7000/0" in answer.out
    assert "Draining" in answer.err
    assert stages.made[0].ended is None


def test_as_json_the_addresses_are_one_document(up: Up) -> None:
    assert up("--json").json == {"url": "redis://127.0.0.1:7000/0", "workers": ["worker-1", "worker-2"]}


def test_what_is_started(up: Up, stages: Stages) -> None:
    words = "--workers 3 --concurrency 4 --pool threads --graphs a.b,c:d --port 7 --flower-port 8 --namespace n"
    up(*words.split())
    found = stages.settings
    assert (found.workers, found.concurrency, found.pool, found.namespace) == (3, 4, "threads", "n")
    assert (found.graphs, found.port, found.flower, found.flower_port) == (("a.b", "c:d"), 7, True, 8)
    assert found.broker_url == ""
    assert "DISTGRAPH_BROKER_URL" in up("--broker-url", "redis://b").out
    assert stages.settings.broker_url == "redis://b"
    up("--no-flower")
    assert not stages.settings.flower


def test_without_a_repository_the_samples_are_served(up: Up, stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    up()
    assert stages.settings.graphs == SAMPLES


def test_the_samples_are_all_there() -> None:
    names = {importlib.import_module(module).graph.name for module in SAMPLES}
    assert names >= {"chain", "map_reduce", "human_review", "flaky", "crunch", "sums", "census"}


@pytest.mark.parametrize("value", ["0", "-1", "abc", "1e9", "99999999999"])
def test_absurd_numbers_are_refused(up: Up, stages: Stages, value: str) -> None:
    for option in ("--workers", "--concurrency"):
        answer = up(option, value)
        assert answer.code == 2
        assert option in answer.err
    assert stages.made == []


def test_sigterm_drains_too(up: Up, stages: Stages) -> None:
    stages.looks = [lambda stage: os.kill(os.getpid(), signal.SIGTERM)]
    answer = up()
    assert answer.code == 0
    assert "Draining" in answer.err
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_second_ctrl_c_stops_at_once(up: Up, stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(self: FakeStage, *_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeStage, "__exit__", impatient)
    answer = up()
    assert answer.code == 5
    assert "Stopped at once" in answer.err


def test_a_worker_that_dies_is_told_once(up: Up, stages: Stages) -> None:
    stages.looks = [lambda stage: stage.workers[0].kill_tree(), lambda stage: None, lambda stage: None]
    assert up().err.count("worker-1 ended (exit code -9); the others take its work over.") == 1


def test_when_the_last_worker_is_gone_it_ends_with_an_error(up: Up, stages: Stages) -> None:
    def gone(stage: FakeStage) -> None:
        raise ProcessFailedError("The last worker has ended. Start again.")

    stages.looks = [gone]
    answer = up()
    assert answer.code == 1
    assert "[PROCESS_FAILED]" in answer.err
    assert stages.made[0].ended is ProcessFailedError


@pytest.mark.parametrize(
    "words", [("up", "--url", "redis://mine"), ("--url", "redis://mine", "up"), ("demo", "--url=redis://m")]
)
def test_a_server_that_is_there_already_is_not_what_it_starts(
    call: Call, stages: Stages, words: tuple[str, ...]
) -> None:
    answer = call(*words, stage=stages)
    assert answer.code == 2
    assert "takes no --url" in answer.err
    assert stages.made == []


def test_a_server_in_the_environment_is_none_that_it_was_told_of(
    up: Up, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTGRAPH_URL", "redis://mine")
    assert up().code == 0
    assert len(stages.made) == 1
