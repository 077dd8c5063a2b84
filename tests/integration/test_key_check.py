"""The key check of the integration tests finds what a test leaves behind, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]

TESTS = """
import pytest
from distgraph.ledger.connection import connect

def left(server, key, **options):
    with connect(server.url) as client:
        client.set(key, 1, **options)

def test_state(server, namespace):
    left(server, f"dg:{{{namespace}/0}}:run:x")

def test_queue(server, namespace):
    left(server, f"{namespace}.queue")

def test_expires(server, namespace):
    left(server, f"dg:{{{namespace}/0}}:run:x", ex=60)

def test_permanent(server, namespace):
    left(server, f"dg:{{{namespace}/g}}:meta")

def test_nothing(namespace):
    pass

@pytest.mark.leaves_keys
def test_marked(server, namespace):
    left(server, f"dg:{{{namespace}/0}}:run:x")
"""


def test_left_keys_fail_the_test_that_left_them(server_program: str, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(Path(__file__).with_name("conftest.py").read_text())
    (tmp_path / "test_inner.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rAE",
        "-p",
        "no:randomly",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    environment = {"PYTHONPATH": str(ROOT), "DISTGRAPH_SERVER_BINARY": server_program, "PATH": "/usr/bin:/bin"}
    inner = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    summary = inner.stdout.partition("short test summary info")[2]
    failed = {line.rpartition("::")[2].partition("[")[0] for line in summary.splitlines() if line.startswith("ERROR")}
    assert failed == {"test_state", "test_queue"}, inner.stdout
    assert "6 passed" in inner.stdout
