"""Flower with the project's configuration is closed: a password, read-only, loopback, nothing secret in its tables."""

from __future__ import annotations

import base64
import os
import runpy
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distgraph.errors import ConfigError
from tests.servers import free_port

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "ops" / "flower" / "flowerconfig.py"


@pytest.fixture(scope="module")
def flower(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a Flower that somebody starts with nothing but a password (and a variable that opens its API)."""
    port = free_port()
    folder = tmp_path_factory.mktemp("flower")
    environment = os.environ | {
        "DISTGRAPH_URL": redis_url,
        "DISTGRAPH_FLOWER_PORT": str(port),
        "DISTGRAPH_FLOWER_PASSWORD": "open:se,same",
        "FLOWER_UNAUTHENTICATED_API": "true",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "celery", "-b", redis_url, "flower", f"--conf={CONFIG}"]
    log = folder / "flower.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
    base = f"http://127.0.0.1:{port}"
    try:
        give_up = time.monotonic() + 30
        while status(f"{base}/healthcheck") != 200:
            if process.poll() is not None or time.monotonic() > give_up:
                pytest.fail(f"Flower does not answer:\n{log.read_text()}")
            time.sleep(0.05)
        yield base
    finally:
        process.terminate()
        process.wait(20)


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


def test_nothing_can_be_changed(flower: str) -> None:
    """Read-only: no task is started and no worker stopped from a browser."""
    for action in ("/api/task/send-task/x", "/api/worker/shutdown/x", "/api/task/revoke/x"):
        assert status(flower + action, password="open:se,same", method="POST") == 403, action


def test_it_listens_on_loopback_only(flower: str) -> None:
    port = int(flower.rpartition(":")[2])
    listening = subprocess.run([sys.executable, "-c", LISTENERS, str(port)], capture_output=True, text=True, check=True)
    assert listening.stdout.split() == ["127.0.0.1"]


#: prints the addresses on which somebody listens at the port
LISTENERS = """
import psutil, sys
for connection in psutil.net_connections("tcp"):
    if connection.status == "LISTEN" and connection.laddr.port == int(sys.argv[1]):
        print(connection.laddr.ip)
"""


def config(folder: Path, monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    """Run the configuration as Flower does, in `folder`."""
    monkeypatch.chdir(folder)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(CONFIG))


def test_without_a_password_one_is_made_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is shown once, readable by its owner only, and the same after a restart."""
    first = config(tmp_path, monkeypatch)
    shown = capsys.readouterr().err
    second = config(tmp_path, monkeypatch)
    kept = tmp_path / ".distgraph" / "flower-password"
    assert first["basic_auth"] == second["basic_auth"] == [f"distgraph:{kept.read_text().strip()}"]
    assert kept.read_text().strip() in shown
    assert capsys.readouterr().err == ""
    assert kept.stat().st_mode & 0o777 == 0o600
    assert first["cookie_secret"] == second["cookie_secret"]


def test_other_machines_are_let_in_only_with_a_chosen_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="DISTGRAPH_FLOWER_PASSWORD"):
        config(tmp_path, monkeypatch, DISTGRAPH_FLOWER_ADDRESS="0.0.0.0")
    chosen = config(tmp_path, monkeypatch, DISTGRAPH_FLOWER_ADDRESS="0.0.0.0", DISTGRAPH_FLOWER_PASSWORD="chosen")
    assert chosen["basic_auth"] == ["distgraph:chosen"]


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
def test_secrets_are_not_shown(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    format_task = config(tmp_path, monkeypatch, DISTGRAPH_FLOWER_PASSWORD="x")["format_task"]
    row = format_task(SimpleNamespace(args=text, kwargs=text, result=text, exception=text, traceback=text))
    assert "s3cret" not in repr(row)


def test_ids_are_shown_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    format_task = config(tmp_path, monkeypatch, DISTGRAPH_FLOWER_PASSWORD="x")["format_task"]
    kwargs = "{'run': '0198-ab', 'step': 3, 'node': 'tokenize'}"
    row = format_task(SimpleNamespace(args="()", kwargs=kwargs, result=None))
    assert row == SimpleNamespace(args="()", kwargs=kwargs, result=None)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("text", ["x" * 100_000, "//" * 50_000, "secret" * 20_000, "authorization " * 9_000])
def test_a_cell_is_bounded_and_so_is_the_time(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text may come from anywhere: no pattern may run wild on it."""
    format_task = config(tmp_path, monkeypatch, DISTGRAPH_FLOWER_PASSWORD="x")["format_task"]
    row = format_task(SimpleNamespace(traceback=text))
    assert len(row.traceback) < 5000
