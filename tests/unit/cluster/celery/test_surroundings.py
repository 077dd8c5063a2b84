"""What a worker looks at before it starts, and what its nodes print to."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tomllib
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from distgraph.cluster.celery import surroundings
from distgraph.cluster.celery.surroundings import RELEASES, Printed, check_machine, check_packages, warn_of_root
from distgraph.cluster.liveness import SlotTable
from distgraph.errors import ConfigError

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[4]


def project() -> dict[str, Any]:
    """The project's table of pyproject.toml."""
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def test_what_is_installed_here_is_fit() -> None:
    check_packages()


def test_releases_are_those_that_the_package_asks_for() -> None:
    asked = {found.name: found.specifier for found in map(Requirement, project()["dependencies"])}
    for name, (first, end) in RELEASES.items():
        assert first in asked[name]
        assert asked[name].contains("99") is (f"<{end}" not in str(asked[name]))


def test_a_python_that_is_too_old_is_refused_by_whoever_installs() -> None:
    assert project()["requires-python"] == ">=3.11"


@pytest.mark.parametrize(
    ("name", "version"), [("celery", "5.6.2"), ("redis", "5.0.8"), ("redis", "9.0"), ("kombu", "5.5")]
)
def test_other_releases_are_refused_by_name(name: str, version: str) -> None:
    installed = {package: first for package, (first, _) in RELEASES.items()} | {name: version}
    with pytest.raises(ConfigError, match=rf"{name} {version} is installed, needed is {name}>=.*pip") as caught:
        check_packages(installed.__getitem__)
    assert str(caught.value).count("is installed") == 1


def limited(code: str, files: str) -> str:
    """What a Python process says that may open so few files."""
    command = ["sh", "-c", f'ulimit {files}; exec "{sys.executable}" -c "$0"', code]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    return done.stdout


CHECK = """
import resource
from distgraph.cluster.celery.surroundings import check_machine
from distgraph.errors import ConfigError
try:
    check_machine("%s", %d)
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
except ConfigError as exc:
    print(exc)
"""


def test_too_few_files_are_an_error_that_says_what_fits() -> None:
    said = limited(CHECK % ("prefork", 8), "-n 64")
    assert "8 slots has about 96 files open, and this process may open 64" in said
    assert "--concurrency 2" in said


def test_a_limit_that_may_be_raised_is_raised() -> None:
    assert limited(CHECK % ("prefork", 8), "-Sn 64") == "96\n"
    assert limited(CHECK % ("prefork", 2), "-n 64") == "64\n"
    assert limited(CHECK % ("threads", 32), "-n 64") == "64\n", "its slots are no processes"


def test_a_machine_without_shared_semaphores_has_threads_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(surroundings, "Semaphore", none)
    with pytest.raises(ConfigError, match=r"Read-only file system.*/dev/shm.*--pool threads"):
        check_machine("prefork", 1)
    check_machine("threads", 1)
    check_machine("solo", 1)


def test_a_full_disk_has_no_part_in_a_workers_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapped file there would have the worker killed by SIGBUS."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    table = SlotTable(8)
    table.write(7, 1, True, 0.0, "x" * 2000)
    assert len(table.read(7).what) == 2000
    os.close(table.fd)


@pytest.mark.parametrize(("user", "said"), [(0, 1), (1000, 0)])
def test_a_worker_that_runs_as_root_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, user: int, said: int
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    warn_of_root()
    assert caplog.text.count("this worker runs as root") == said


class TestPrinted:
    def test_lines_go_to_the_log_and_bytes_to_the_stream(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with (tmp_path / "out").open("w") as stream:
            out = Printed(stream, logging.getLogger("printed"), "WARNING")
            print("a line", file=out)
            out.buffer.write(b"\xff\x00")
            out.flush()
            assert (out.fileno(), out.encoding) == (stream.fileno(), stream.encoding)
        assert (tmp_path / "out").read_bytes() == b"\xff\x00"
        assert [record.message for record in caplog.records] == ["a line"]

    def test_a_full_disk_is_no_failure_of_a_node(self) -> None:
        stream = TextIOWrapper(open("/dev/full", "wb"))  # noqa: PTH123, SIM115 - closed below, where it fails
        out = Printed(stream, logging.getLogger("printed"), "WARNING")
        out.buffer.write(b"x")
        out.flush()
        with pytest.raises(OSError, match="No space"):
            stream.close()

    def test_a_worker_without_streams_of_its_own_prints_to_its_log(self, caplog: pytest.LogCaptureFixture) -> None:
        out = Printed(None, logging.getLogger("printed"), "WARNING")
        print("a line", file=out, flush=True)
        assert caplog.text.count("a line") == 1
        with pytest.raises(AttributeError, match="buffer"):
            out.buffer.write(b"x")
