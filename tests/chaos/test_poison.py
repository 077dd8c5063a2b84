"""Items that kill their process: each gets three chances and then its own failure; all others are done."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import PoisonTaskError
from distgraph.types import Placement
from tests.graphs import hard, limits
from tests.integration.cluster.at_rest import crashes, wait_at_rest
from tests.nightly import FULL, nightly
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

ALLOWED = 3


@contextmanager
def supervised(cluster: EmbeddedCluster, **changes: Any) -> Iterator[list[int]]:
    """Workers that end are started again, as a service manager would; how many in a list that grows."""
    over, again = threading.Event(), [0]

    def supervise() -> None:
        while not over.wait(0.05):
            for process in [*cluster.processes]:
                if not process.alive and process not in seen:
                    seen.append(process)
                    again[0] += 1
                    cluster.add_worker(wait=False, **changes)

    seen: list[Any] = []
    supervisor = threading.Thread(target=supervise)
    supervisor.start()
    try:
        yield again
    finally:
        over.set()
        supervisor.join()


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


@pytest.mark.parametrize(
    ("pool", "placement"),
    [("threads", "auto"), ("solo", "spread"), *nightly(("threads", "spread"), ("solo", "auto"))],
)
def test_where_the_process_is_the_worker(tmp_path: Path, pool: str, placement: Placement) -> None:
    """In pools without children the whole worker goes; its supervisor starts it again, here by hand."""
    bad = {5: "exit"}
    log = tmp_path / "log"
    with Cluster.embedded(workers=1, graphs=["tests.graphs.hard"], pool=pool) as cluster:
        batch = cluster.bind(hard.poison, placement=placement).submit_batch(poisoned(log, 40, bad))
        with supervised(cluster):
            wait_until(lambda: batch.status().finished, 90)
        status = batch.status()
        assert (status.done, status.failed) == (39, 1)
        assert [failure.index for failure in batch.failures()] == [5]
        wait_at_rest(cluster)


#: Ways to harm a process, and what the failure says of it.
KINDS = {
    "exit": "exit code 3",
    "kill": "SIGKILL (out of memory?)",
    "abort": "SIGABRT",
    "group": "its whole worker died",
    "memory": "more memory than the 256 MiB",
    "hang": "run timeout of 4.000s",
}
#: A hundred items for each poisonous one; by night the whole of it.
ITEMS = 10_000 if FULL else 600


@pytest.mark.timeout(2400 if FULL else 600)
def test_one_in_a_hundred_of_all_kinds(tmp_path: Path) -> None:
    """Each is tried three times at most and fails with its reason; nobody else is counted, all others are done."""
    kinds = list(KINDS)
    bad = {index: kinds[index // 100 % len(kinds)] for index in range(37, ITEMS, 100)}
    log = tmp_path / "log"
    limit = ["--max-memory-per-child", "256"]
    with Cluster.embedded(workers=0, graphs=["tests.graphs.limits"], concurrency=2) as cluster:
        cluster.add_worker(arguments=limit)
        items = [{"index": index, "how": bad.get(index, ""), "log": str(log)} for index in range(ITEMS)]
        batch = cluster.bind(limits.mixed).submit_batch(items)
        with supervised(cluster, arguments=limit) as again:
            wait_until(lambda: batch.status().finished, 2000 if FULL else 500)
        status = batch.status()
        harmed = {failure.index: failure.error for failure in batch.failures() if failure.index not in bad}
        assert harmed == {}
        assert (status.done, status.failed) == (ITEMS - len(bad), len(bad))
        attempts = Counter(map(int, log.read_text().split()))
        assert set(attempts) == set(bad)
        assert max(crashes(cluster, batch.batch_id).values()) <= ALLOWED
        # Whoever kills the worker cuts short what its other slot runs, which is not to blame and has another attempt.
        killers = [index for index, how in bad.items() if how == "group"]
        assert again[0] <= ALLOWED * len(killers)
        assert max(attempts[index] for index in killers) <= ALLOWED
        assert attempts.total() <= ALLOWED * len(bad) + again[0]
        for failure in batch.failures():
            assert failure.error is not None
            # Its last death may have been that of its whole worker, which another one's item has killed.
            reasons = KINDS[bad[failure.index]], KINDS["group"]
            assert any(reason in failure.error["message"] for reason in reasons), failure.error["message"]
        assert set(crashes(cluster, batch.batch_id)) <= set(bad)
        wait_at_rest(cluster)
