"""A small storm with every kind of harm, and the proxy's harm one by one: what is lost on the way is not lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from distgraph.chaos.history import Event, Journal, of, read
from distgraph.chaos.nemesis import KINDS
from distgraph.chaos.proxy import Fault, Harm, Proxy
from distgraph.chaos.rest import keys_of
from distgraph.chaos.storm import Settings, storm
from distgraph.chaos.wiretap import Wiretap
from distgraph.cluster import Cluster
from distgraph.cluster.processes import WorkerProcess
from distgraph.examples import sums
from distgraph.ledger.server import EmbeddedServer
from distgraph.types import Placement
from tests.integration.cluster.at_rest import wait_at_rest
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]


@pytest.mark.timeout(400)
def test_sixty_kills_and_all_other_harm(tmp_path: Path) -> None:
    """Seventeen invariants and two promises about effects, over the histories of all processes."""
    told = Settings(items=700, kills=60, seed=4, workers=3, most=240, histories=tmp_path)
    result = storm(told, lambda line: None)
    assert {finding.name: finding.wrong for finding in result.findings if not finding.holds} == {}
    assert result.figures["lost"] == result.figures["duplicated"] == 0
    assert result.figures["sigkills"] >= 60
    struck = {event.get("kind", "fault") for event in of(read(tmp_path), "kill", "stop", "fault", "reset", "blackhole")}
    assert struck == set(KINDS)


def test_only_what_is_asked_for_on_a_server_that_is_there_already(redis_url: str) -> None:
    """Its server lives, and its keys are gone afterwards."""
    with Cluster.connect(redis_url) as cluster:
        before = cluster.ledger.fleet.server()[0]
        told = Settings(items=200, kills=4, workers=2, kinds=["child", "tree"], url=redis_url, most=100)
        result = storm(told, lambda line: None)
        assert {finding.name: finding.wrong for finding in result.findings if not finding.holds} == {}
        assert {recovery.kind.partition(",")[0] for recovery in result.recoveries} == {"child", "tree"}
        assert cluster.ledger.fleet.server()[0] == before
        assert keys_of(cluster, "storm-") == []


@dataclass
class Stage:
    """A server, and a worker and a client that reach it through a proxy."""

    proxy: Proxy
    cluster: Cluster
    worker: WorkerProcess
    folder: Path

    def events(self, *ops: str) -> list[Event]:
        return of(read(self.folder), *ops)

    def finish(self, items: list[sums.Item], placement: Placement) -> None:
        """A batch and a run: exact, and nothing owed."""
        remote = self.cluster.bind(sums.graph, placement=placement)
        batch, run = remote.submit_batch(items), remote.submit(items[0])
        assert batch.wait(60).done == len(items)
        assert [result.value for result in batch.results()] == [sums.expected(item) for item in items]
        assert run.result(60) == sums.expected(items[0])
        wait_at_rest(self.cluster)


@pytest.fixture(scope="module")
def stage(server_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """For all tests of this file: what one leaves broken, the next one finds."""
    folder = tmp_path_factory.mktemp("histories")
    with (
        EmbeddedServer() as server,
        Proxy("127.0.0.1", server.port, Wiretap(Journal(folder, "wire"))) as proxy,
        Cluster.connect(proxy.url) as cluster,
        WorkerProcess(
            graphs=["distgraph.examples.sums"],
            url=proxy.url,
            namespace="default",
            name="worker-1",
            log=folder / "worker.log",
        ) as worker,
    ):
        worker.wait_ready(60, lambda: any(one.pid == worker.pid for one in cluster.workers()))
        yield Stage(proxy, cluster, worker, folder)


@pytest.fixture
def harmed(stage: Stage) -> Iterator[Stage]:
    """The stage; harm that did not strike is not left for the next test."""
    yield stage
    stage.proxy.disarm()
    stage.proxy.heal()


#: Every script that moves the state, under the placement that calls it.
SCRIPTS: list[tuple[str, Placement]] = [
    ("commit", "local"),
    ("batch_commit", "auto"),
    ("batch_take", "auto"),
    ("batch_add", "auto"),
    ("submit", "auto"),
    ("claim_run", "auto"),
    ("release_run", "spread"),
    ("offer", "spread"),
    ("claim_task", "spread"),
    ("settle", "spread"),
]


@pytest.mark.parametrize(("script", "placement"), SCRIPTS)
@pytest.mark.parametrize("harm", ["drop_reply", "cut"])
def test_a_call_that_was_executed_unheard_or_cut_off(
    harmed: Stage, harm: Harm, script: str, placement: Placement
) -> None:
    """It is sent again, and answered as the first time: once, twice, and for the third time in a row."""
    shots = [harmed.proxy.arm(Fault(harm, script=script, nth=nth, after=50)) for nth in (1, 2, 4)]
    # Where every task is a message of its own, few items are many.
    harmed.finish(sums.items(5 if placement == "spread" else 20), placement)
    if script != "release_run":  # only a run that outlives its driver's quantum is released
        assert shots[0].fired


@pytest.mark.parametrize("harm", ["drop_reply", "reset", "drop_request"])
def test_a_hint_that_is_sent_twice_or_never(harmed: Stage, harm: Harm) -> None:
    shots = [harmed.proxy.arm(Fault(harm, command="LPUSH", nth=nth)) for nth in (1, 3)]
    harmed.finish(sums.items(8), "spread")
    assert shots[0].fired


def test_connections_are_reset_again_and_again(harmed: Stage) -> None:
    """Three times within three seconds: the worker is not deaf afterwards."""
    items = sums.items(150, delay_ms=2)
    batch = harmed.cluster.bind(sums.graph).submit_batch(items)
    for _ in range(3):
        done = batch.status().done
        wait_until(lambda done=done: batch.status().done > done, 30)  # type: ignore[misc]
        harmed.proxy.reset_all()
        time.sleep(0.7)  # how close together they come, is their point
    assert batch.wait(60).done == len(items)
    harmed.finish(sums.items(20), "auto")
    assert harmed.worker.alive


def test_a_black_hole_of_five_seconds(harmed: Stage) -> None:
    """Connections that stand and say nothing: the worker is back within six seconds of their end."""
    items = sums.items(120, delay_ms=5)
    batch = harmed.cluster.bind(sums.graph).submit_batch(items)
    wait_until(lambda: batch.status().done > 5, 30)
    harmed.proxy.blackhole()
    time.sleep(5)  # how long it lasts, is its point
    harmed.proxy.heal()
    healed = time.monotonic()

    def back() -> bool:
        return any(event["f"] == "ok" and event["t"] > healed for event in harmed.events("step"))

    wait_until(back, 20)
    first: Any = next(e["done"] for e in harmed.events("step") if e["f"] == "ok" and e["t"] > healed)
    assert first - healed < 6
    assert batch.wait(60).done == len(items)
    assert [result.value for result in batch.results()] == [sums.expected(item) for item in items]
    wait_at_rest(harmed.cluster)
