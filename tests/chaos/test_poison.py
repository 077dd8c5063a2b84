"""Items that kill their process: each gets three chances and then its own failure; all others are done."""

from __future__ import annotations

from pathlib import Path

import pytest

from distgraph.cluster import Cluster
from distgraph.errors import PoisonTaskError
from distgraph.types import Placement
from tests.graphs import hard
from tests.integration.cluster.at_rest import wait_at_rest

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

ALLOWED = 3


def poisoned(log: Path, count: int, bad: dict[int, str]) -> list[hard.Poison]:
    return [{"index": index, "how": bad.get(index, ""), "log": str(log)} for index in range(count)]


@pytest.mark.parametrize(("placement", "count"), [("auto", 300), ("spread", 60), ("local", 300)])
def test_the_batch_goes_on(tmp_path: Path, placement: Placement, count: int) -> None:
    bad = {3: "exit", 4: "kill", count // 2: "abort", count - 1: "exit"}
    log = tmp_path / "log"
    with Cluster.embedded(workers=2, graphs=["tests.graphs.hard"]) as cluster:
        batch = cluster.bind(hard.poison, placement=placement).submit_batch(
            poisoned(log, count, bad), key=lambda item: f"item {item['index']}"
        )
        status = batch.wait(100)
        assert (status.done, status.failed) == (count - len(bad), len(bad))
        failures = list(batch.failures())
        assert [failure.index for failure in failures] == sorted(bad)
        assert [failure.key for failure in failures] == [f"item {index}" for index in sorted(bad)]
        for failure in failures:
            assert failure.error is not None
            assert failure.error["kind"] == "poison"
            assert "PoisonTaskError" in failure.error["type"]
            assert "3 worker processes died" in failure.error["message"]
        assert all(r.value["trail"] == ["before", "risky", "after"] for r in batch.results() if r.status == "done")
        attempts = log.read_text().split()
        assert {index: attempts.count(str(index)) for index in bad} == dict.fromkeys(bad, ALLOWED)
        wait_at_rest(cluster)


@pytest.mark.parametrize("placement", ["auto", "spread", "local"])
def test_a_single_run(tmp_path: Path, placement: Placement) -> None:
    """It fails with what happened; queued again by hand it gets three more chances."""
    log = tmp_path / "log"
    with Cluster.embedded(workers=1, graphs=["tests.graphs.hard"]) as cluster:
        run = cluster.bind(hard.poison, placement=placement).submit({"index": 1, "how": "exit", "log": str(log)})
        with pytest.raises(PoisonTaskError, match="3 worker processes died"):
            run.result(60)
        assert len(log.read_text().split()) == ALLOWED
        with pytest.raises(PoisonTaskError):
            run.retry().result(60)
        assert len(log.read_text().split()) == 2 * ALLOWED
        wait_at_rest(cluster)


@pytest.mark.parametrize("pool", ["threads", "solo"])
@pytest.mark.parametrize("placement", ["auto", "spread"])
def test_where_the_process_is_the_worker(tmp_path: Path, pool: str, placement: Placement) -> None:
    """In pools without children the whole worker goes; its supervisor starts it again, here by hand."""
    import threading

    from tests.waiting import wait_until

    bad = {5: "exit"}
    log = tmp_path / "log"
    with Cluster.embedded(workers=1, graphs=["tests.graphs.hard"], pool=pool) as cluster:
        batch = cluster.bind(hard.poison, placement=placement).submit_batch(poisoned(log, 40, bad))
        over = threading.Event()

        def supervise() -> None:
            while not over.is_set():
                if not cluster.processes[-1].alive:
                    cluster.add_worker(wait=False)
                over.wait(0.05)

        supervisor = threading.Thread(target=supervise)
        supervisor.start()
        try:
            wait_until(lambda: batch.status().finished, 90)
        finally:
            over.set()
            supervisor.join()
        status = batch.status()
        assert (status.done, status.failed) == (39, 1)
        assert [failure.index for failure in batch.failures()] == [5]
        wait_at_rest(cluster)
