"""What a cluster was doing when a test failed that waited for it in vain: read before its fixture takes it down."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from distgraph.chaos.rest import unrest
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.cluster.hints import queue_name
from distgraph.cluster.processes import WorkerProcess

#: What clusters did that are gone when their test has failed.
SEEN = pytest.StashKey[list[str]]()
#: Lines of one kind, and characters at the end of a log.
MOST, TAIL = 40, 4000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """A test that waited in vain says what the cluster did meanwhile: it may be weeks until it fails again."""
    report = yield
    if report.failed:
        used = getattr(item, "funcargs", {}).values()
        found = [autopsy(made) for made in used if isinstance(made, EmbeddedCluster)]
        report.sections += [("cluster", text) for text in [*found, *item.stash.get(SEEN, [])]]
    return report


@pytest.fixture
def seen_when_it_fails(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that a test makes for itself is looked at before its ``with`` block takes it down."""
    take_down = EmbeddedCluster.__exit__
    seen = request.node.stash[SEEN] = []

    def look_first(self: EmbeddedCluster, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is not None:
            seen.append(autopsy(self))
        take_down(self, kind, error, traceback)

    monkeypatch.setattr(EmbeddedCluster, "__exit__", look_first)


def autopsy(cluster: EmbeddedCluster) -> str:
    """Workers, what waits, what is owed and held, where each process stands. Never raises: the test has failed already."""
    parts: list[tuple[str, Callable[[], Iterator[str]]]] = [
        ("workers, by their beats", lambda: _beats(cluster)),
        ("hints that wait", lambda: _hints(cluster)),
        ("owed and held", lambda: iter(unrest(cluster)[:MOST])),
        ("the newest runs", lambda: _runs(cluster)),
        ("processes", lambda: (line for process in cluster.processes for line in _process(process))),
    ]
    lines: list[str] = []
    for title, look in parts:
        lines.append(f"== {title}")
        try:
            lines += look()
        except Exception as exc:
            lines.append(f"cannot be told: {exc!r}")
    return "\n".join(lines)


def _beats(cluster: EmbeddedCluster) -> Iterator[str]:
    for record in cluster.ledger.fleet.workers().values():
        told = {name: record[name] for name in ("beat", "slots", "works", "dead", "busy", "idle")}
        yield f"{record['name']}, pid {record['pid']}: {told}"


def _hints(cluster: EmbeddedCluster) -> Iterator[str]:
    queue = queue_name(cluster.namespace)
    yield f"{queue}: {cluster.dispatcher.waiting()}, for {cluster.dispatcher.expected()}"


def _runs(cluster: EmbeddedCluster) -> Iterator[str]:
    fields = ("graph", "status", "epoch", "lease", "plan", "hinted", "wake", "x", "why", "error")
    for run in cluster.runs(limit=10):
        record = cluster.ledger.runs.record(run._address)
        told = {name: record[name].decode(errors="replace")[:500] for name in fields if name in record}
        yield f"{run.run_id}: {told}, claims {cluster.ledger.runs.claims(run._address)}"


def _process(process: WorkerProcess) -> Iterator[str]:
    yield f"{process.name}, pid {process.pid}: {'alive' if process.alive else f'ended with {process.exit_code}'}"
    for pid in [process.pid, *process.children()] if process.alive else []:
        yield f"-- pid {pid}: {_stands_at(pid)}"
    yield f"-- the end of its log\n{process.log.read_text(errors='replace')[-TAIL:]}"


def _stands_at(pid: int) -> str:
    """What the kernel says a process waits for; and its Python stack, where py-spy is installed."""
    where = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1], Path(f"/proc/{pid}/wchan").read_text()
    spy = shutil.which("py-spy")
    if spy is None:
        return f"{where}"
    seen = subprocess.run([spy, "dump", "--pid", str(pid)], capture_output=True, text=True, timeout=20, check=False)
    return f"{where}\n{seen.stdout or seen.stderr}"
