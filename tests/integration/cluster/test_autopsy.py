"""What is told of a cluster when a test fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from distgraph.cluster.embedded import EmbeddedCluster
from tests.autopsy import autopsy
from tests.graphs import hard
from tests.waiting import wait_until

pytestmark = pytest.mark.integration


def test_it_says_who_holds_what(cluster: EmbeddedCluster, gate: Path) -> None:
    log = gate.with_name("log")
    run = cluster.bind(hard.gate).submit({"file": str(gate), "log": str(log)})
    wait_until(log.exists, 20)
    holder = int(log.read_text())
    wait_until(lambda: any(worker.busy for worker in cluster.workers()), 20)
    told = autopsy(cluster)
    gate.touch()
    assert run.result(20)["steps"] == ["first", "wait", "last"]
    assert "cannot be told" not in told
    assert f"run:{run.run_id}': status b'running'" in told
    assert f"n:{run.run_id}" in told, "a beat says who is at it"
    assert f"-- pid {holder}: (" in told
