"""`distgraph flower` is closed: a password, read-only, loopback unless asked, nothing secret in its tables."""

from __future__ import annotations

import base64
import json
import runpy
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from distgraph.cli.flower import configuration
from tests.acceptance.deployment import ROOT, clean_environment, listeners, process
from tests.servers import free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.acceptance

FLOWER = [sys.executable, "-m", "distgraph", "flower"]


def environment(redis_url: str, port: int, **more: str) -> dict[str, str]:
    told = {"DISTGRAPH_URL": redis_url, "DISTGRAPH_FLOWER_PORT": str(port), "PYTHONPATH": str(ROOT)}
    return {**clean_environment(), **told, **more}


@pytest.fixture(scope="module")
def flower(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a Flower that somebody starts with nothing but a password (and a variable that opens its API)."""
    port, folder = free_port(), tmp_path_factory.mktemp("flower")
    chosen = {"DISTGRAPH_FLOWER_PASSWORD": "open:se,same", "FLOWER_UNAUTHENTICATED_API": "true"}
    with process(FLOWER, env=environment(redis_url, port, **chosen), log=folder / "log", cwd=folder) as running:
        wait_for_flower(port, running, folder / "log")
        yield f"http://127.0.0.1:{port}"


def wait_for_flower(port: int, running: subprocess.Popen[bytes], log: Path) -> None:
    page = f"http://127.0.0.1:{port}/healthcheck"
    wait_until(lambda: status(page) == 200 or running.poll() is not None, 30, "Flower answers")
    assert running.poll() is None, log.read_text()


def status(url: str, *, password: str | None = None, method: str = "GET") -> int:
    """HTTP status of one request; 0 where nobody answers."""
    request = urllib.request.Request(url, method=method)
    if password is not None:
        credentials = base64.b64encode(f"distgraph:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {credentials}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def test_a_password_is_needed(flower: str) -> None:
    for page in ("/", "/tasks", "/api/workers", "/api/tasks"):
        assert status(flower + page) == 401, page
        assert status(flower + page, password="wrong") == 401, page
        assert status(flower + page, password="open:se,same") == 200, page


def test_its_metrics_tell_of_workers_and_the_ledger(flower: str) -> None:
    with urllib.request.urlopen(f"{flower}/metrics", timeout=20) as answer:
        told = answer.read().decode()
    assert "distgraph_ledger_up 1.0" in told
    assert "# TYPE distgraph_longest_task_seconds gauge" in told


def test_nothing_can_be_changed(flower: str) -> None:
    """Read-only: no task is started and no worker stopped from a browser."""
    for action in ("/api/task/send-task/x", "/api/worker/shutdown/x", "/api/task/revoke/x"):
        assert status(flower + action, password="open:se,same", method="POST") == 403, action


def test_it_listens_on_loopback_only(flower: str) -> None:
    assert listeners(int(flower.rpartition(":")[2])) == {"127.0.0.1"}


def test_without_a_password_one_is_made_and_told(redis_url: str, tmp_path: Path) -> None:
    """It opens Flower, stands on no command line, and another start has another."""
    made = []
    for name in ("first", "second"):
        port, log = free_port(), tmp_path / name
        with process([*FLOWER, "--json"], env=environment(redis_url, port), log=log, cwd=tmp_path) as running:
            wait_for_flower(port, running, log)
            password = json.JSONDecoder().raw_decode(log.read_text())[0]["password"]
            assert status(f"http://127.0.0.1:{port}/tasks", password=password) == 200
            assert password not in " ".join(psutil.Process(running.pid).cmdline())
            made.append(password)
    assert made[0] != made[1]


@pytest.fixture
def format_task(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The function that Flower calls with a copy of each row before it shows it."""
    told = {"ADDRESS": "127.0.0.1", "PORT": "5555", "USER": "distgraph", "PASSWORD": "x"}
    for name, value in told.items():
        monkeypatch.setenv(f"DISTGRAPH_FLOWER_{name}", value)
    monkeypatch.setenv("DISTGRAPH_URL", "redis://h")
    monkeypatch.setenv("DISTGRAPH_NAMESPACE", "n")
    # It would tell in this process for good.
    monkeypatch.setattr("distgraph.cli.flower_metrics.register", lambda url, namespace: None)
    return runpy.run_path(str(configuration()))["format_task"]


@pytest.mark.parametrize(
    "text",
    [
        "redis://:s3cret@host:6379/0",
        "ConnectionError at rediss://user:s3cret@host",
        "{'password': 's3cret', 'run': 'r1'}",
        "api_key=s3cret",
        "DB_SECRET: s3cret",
        "Authorization: Bearer s3cret",
    ],
)
def test_secrets_are_not_shown(text: str, format_task: Any) -> None:
    row = format_task(SimpleNamespace(args=text, kwargs=text, result=text, exception=text, traceback=text))
    assert "s3cret" not in repr(row)


def test_ids_are_shown_as_they_are(format_task: Any) -> None:
    kwargs = "{'step': 3, 'run': '0198-ab'}"
    row = format_task(SimpleNamespace(args="()", kwargs=kwargs, result=None))
    assert row == SimpleNamespace(args="()", kwargs=kwargs, result=None)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("text", ["x" * 100_000, "//" * 50_000, "secret" * 20_000, "authorization " * 9_000])
def test_a_cell_is_bounded_and_so_is_the_time(text: str, format_task: Any) -> None:
    """The text may come from anywhere: no pattern may run wild on it."""
    row = format_task(SimpleNamespace(traceback=text))
    assert len(row.traceback) < 5000
