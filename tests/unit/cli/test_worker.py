"""``distgraph worker`` and ``distgraph flower``: options checked here, work done elsewhere."""

from __future__ import annotations

import runpy
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distgraph.cli.flower import configuration
from distgraph.cluster.celery import worker as worker_module
from distgraph.cluster.celery.worker import WorkerOptions
from tests.unit.cli.conftest import Answer, Call

Worker = Callable[..., Answer]


@pytest.fixture
def started() -> list[WorkerOptions]:
    return []


@pytest.fixture
def worker(call: Call, started: list[WorkerOptions], monkeypatch: pytest.MonkeyPatch) -> Worker:
    def main(options: WorkerOptions) -> int:
        started.append(options)
        return 0

    monkeypatch.setattr(worker_module, "main", main)
    return lambda *words: call("worker", *words)


def test_options_reach_the_worker(worker: Worker, started: list[WorkerOptions]) -> None:
    words = "--graphs a.b,c:d --pool threads --concurrency 3 --name w --queues q,r --log-level debug"
    assert worker(*words.split(), "--url", "redis://h", "--namespace", "n").code == 0
    assert started == [
        WorkerOptions(
            graphs=("a.b", "c:d"),
            url="redis://h",
            namespace="n",
            pool="threads",
            concurrency=3,
            name="w",
            queues=("q", "r"),
            log_level="DEBUG",
        )
    ]


def test_times_come_from_the_environment_too(
    worker: Worker, started: list[WorkerOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the names by which `celery -A workers.app worker` takes them."""
    times = {"drain_timeout": 1.5, "cancel_grace": 2.5, "keep_effects": 3, "commit_patience": 4.5}
    for name, seconds in times.items():
        monkeypatch.setenv(f"DISTGRAPH_{name.upper()}", str(seconds))
    worker("--graphs", "a")
    assert {name: getattr(started[0], name) for name in times} == times
    worker("--graphs", "a", "--cancel-grace", "7")
    assert started[1].cancel_grace == 7.0
    monkeypatch.setenv("DISTGRAPH_KEEP_EFFECTS", "-1")
    assert worker("--graphs", "a").code == 2


def test_a_broker_of_its_own_and_patience_reach_the_worker(
    worker: Worker, started: list[WorkerOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker("--graphs", "a", "--url", "redis://h", "--broker-url", "redis://b", "--commit-patience", "5")
    monkeypatch.setenv("DISTGRAPH_BROKER_URL", "redis://env-broker")
    worker("--graphs", "a")
    worker("--graphs", "a", "--url", "redis://h")
    assert [(options.broker_url, options.commit_patience) for options in started] == [
        ("redis://b", 5.0),
        ("redis://env-broker", 60.0),
        ("", 60.0),
    ]


def test_graphs_in_the_current_directory_can_be_served(
    worker: Worker, started: list[WorkerOptions], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where the command is a script whose own directory comes first on the path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["/usr/bin"])
    worker("--graphs", "mine")
    assert sys.path == ["", "/usr/bin"]


def test_the_secret_comes_from_the_environment_alone(
    worker: Worker, started: list[WorkerOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTGRAPH_SECRET", "hush")
    worker("--graphs", "a")
    monkeypatch.setenv("DISTGRAPH_SECRET", "")
    worker("--graphs", "a")
    assert [options.secret for options in started] == [b"hush", None]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "--graphs"),
        (["--graphs", ""], "an empty list"),
        (["--graphs", "../x"], "'../x' is not of the form"),
        (["--graphs", "a:b:c"], "'a:b:c' is not of the form"),
        (["--graphs", "a:__import__"], "is not of the form"),
        (["--graphs", "a", "--pool", "gevent"], "'gevent' is not supported"),
        (["--graphs", "a", "--pool", "processes"], "that is called prefork here"),
        (["--graphs", "a", "--pool", "x"], "'x' is no pool"),
        (["--graphs", "a", "--concurrency", "0"], "--concurrency"),
        (["--graphs", "a", "--concurrency", "1e9"], "--concurrency"),
        (["--graphs", "a", "--log-level", "loud"], "--log-level"),
        (["--graphs", "a", "--queues", "a b"], "'a b' must be"),
    ],
)
def test_what_is_wrong_is_told_before_anything_starts(
    worker: Worker, started: list[WorkerOptions], words: list[str], expected: str
) -> None:
    answer = worker(*words)
    assert answer.code == 2
    assert expected in " ".join(answer.err.split())
    assert started == []


# ------------------------------------------------------------ Flower


class Became:
    """Records what the process would have become."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], dict[str, str]]] = []

    def __call__(self, command: Any, env: Any) -> None:
        self.calls.append((list(command), dict(env)))


@pytest.fixture
def became() -> Became:
    return Became()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_flower_gets_a_new_password_which_is_printed_once_and_never_an_argument(
    call: Call, became: Became, port: int
) -> None:
    words = ["flower", "--port", str(port), "--url", "redis://:hush@h:1/0", "--namespace", "n"]
    passwords = []
    for _ in range(2):
        answer = call(*words, become=became)
        command, env = became.calls[-1]
        password = env["DISTGRAPH_FLOWER_PASSWORD"]
        passwords.append(password)
        assert answer.code == 0
        assert answer.out == f"Flower: http://127.0.0.1:{port}  user distgraph, password {password}\n"
        assert password not in " ".join(command)
        assert "hush" not in " ".join(command)
        assert (env["DISTGRAPH_URL"], env["DISTGRAPH_NAMESPACE"]) == ("redis://:hush@h:1/0", "n")
    assert passwords[0] != passwords[1]
    assert len(passwords[0]) >= 16


def test_flower_watches_the_broker(call: Call, became: Became, port: int) -> None:
    call("flower", "--port", str(port), "--broker-url", "redis://:hush@b:1/0", become=became)
    command, env = became.calls[-1]
    assert env["DISTGRAPH_BROKER_URL"] == "redis://:hush@b:1/0"
    assert "hush" not in " ".join(command)
    answer = call("flower", "--port", str(port), "--broker-url", "amqp://b", become=became)
    assert answer.code == 2
    assert "amqp is not supported" in answer.err


def test_a_password_that_somebody_chose_is_not_printed(
    call: Call, became: Became, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTGRAPH_FLOWER_PASSWORD", "chosen-one")
    answer = call("flower", "--port", str(port), become=became)
    assert "chosen-one" not in answer.out + answer.err
    assert call("flower", "--port", str(port), "--json", become=became).json["password"] is None
    assert became.calls[-1][1]["DISTGRAPH_FLOWER_PASSWORD"] == "chosen-one"


def test_a_port_in_use_is_told(call: Call, became: Became) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = call("flower", "--port", str(port), become=became)
    assert answer.code == 2
    assert f"Port {port} of 127.0.0.1 is in use" in answer.err
    assert became.calls == []


def test_a_wrong_url_is_told_before_flower_starts(call: Call, became: Became, port: int) -> None:
    answer = call("flower", "--port", str(port), "--url", "http://h", become=became)
    assert answer.code == 2
    assert "[CONFIG_INVALID]" in answer.err
    assert became.calls == []


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The namespaces whose workers Flower's metrics tell of."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr("distgraph.cli.flower_metrics.register", lambda url, namespace: found.append((url, namespace)))
    return found


def test_flower_tells_of_the_workers_of_its_namespace(settings: dict[str, Any], metrics: list[tuple[str, str]]) -> None:
    assert metrics == [("redis://h", "shop")]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, metrics: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """What Flower sees when it runs our configuration."""
    monkeypatch.setenv("DISTGRAPH_URL", "redis://h")
    monkeypatch.setenv("DISTGRAPH_NAMESPACE", "shop")
    for name, value in {"USER": "ada", "PASSWORD": "hush", "PORT": "7"}.items():
        monkeypatch.setenv(f"DISTGRAPH_FLOWER_{name}", value)
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
    yield runpy.run_path(str(configuration()))


def test_flower_is_closed(settings: dict[str, Any]) -> None:
    import os

    assert settings["address"] == "127.0.0.1"
    assert settings["basic_auth"] == ["ada:hush"]
    assert settings["read_only"] is True
    assert settings["persistent"] is False
    assert "FLOWER_UNAUTHENTICATED_API" not in os.environ


def test_every_name_is_an_option_that_flower_has(settings: dict[str, Any]) -> None:
    """Flower ignores unknown names in silence; a renamed option must not open a door."""
    from flower import options  # noqa: F401 - registers them
    from tornado.options import options as known

    own = {name for name, value in settings.items() if not name.startswith("_") and isinstance(value, str | int | list)}
    assert own <= set(known.as_dict())


def test_rows_are_shown_without_secrets_and_cut(settings: dict[str, Any]) -> None:
    row = SimpleNamespace(
        kwargs="{'url': 'redis://:hush@db/0', 'api_key': 'abc'}", exception="x" * 10_000, args=None, result=3
    )
    shown = settings["format_task"](row)
    assert "hush" not in shown.kwargs
    assert "abc" not in shown.kwargs
    assert len(shown.exception) < 4200
    assert (shown.args, shown.result) == (None, 3)


def test_flower_and_workers_agree_on_the_names_of_a_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    from distgraph.cluster.celery.config import settings as expected

    monkeypatch.setenv("DISTGRAPH_URL", "redis://h:1/0")
    monkeypatch.setenv("DISTGRAPH_NAMESPACE", "n")
    found = runpy.run_module("distgraph.cli.flower_broker")
    assert {name: found[name] for name in ("broker_url", "event_exchange", "control_exchange")} == {
        name: expected("redis://h:1/0", "n")[name] for name in ("broker_url", "event_exchange", "control_exchange")
    }
    monkeypatch.setenv("DISTGRAPH_BROKER_URL", "redis://b:2/0")
    assert runpy.run_module("distgraph.cli.flower_broker")["broker_url"] == "redis://b:2/0"
