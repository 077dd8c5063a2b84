"""Broker and ledger on two servers: either goes by itself, the other one carries on, and nothing is lost or done twice.

One pool or placement of each; all of them with DISTGRAPH_FULL=1.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.batch import Batch
from distgraph.cluster.hints import queue_name
from distgraph.cluster.processes import WorkerProcess
from distgraph.examples import sums
from distgraph.ledger.connection import connect
from distgraph.ledger.server import EmbeddedServer
from distgraph.types import Placement
from tests.graphs import hard
from tests.integration.cluster.at_rest import crashes, wait_at_rest, wait_for_progress
from tests.nightly import nightly
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

GRAPHS = ("distgraph.examples.sums", "tests.graphs.hard")
#: How long an outage lasts: longer than any client tries again, and than any beat lives. Seconds.
LASTS = 4.0
#: How long after an outage work goes on, on a machine that is busy with other things too. Seconds.
SOON = 10.0
OTHER_POOLS = nightly("threads", "solo")


class Split:
    """A cluster whose broker, which keeps nothing on disk, has a server of its own."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.folder = folder
        self.ledger = stack.enter_context(EmbeddedServer(persistence="standard"))
        self.broker = stack.enter_context(EmbeddedServer(persistence="memory"))
        self.cluster = stack.enter_context(Cluster.connect(self.ledger.url, broker_url=self.broker.url))
        self.workers: list[WorkerProcess] = []

    def add_worker(self, pool: str, arguments: Sequence[str] = ()) -> WorkerProcess:
        """Start one more worker, and wait until it beats."""
        name = f"worker-{len(self.workers) + 1}"
        worker = WorkerProcess(
            graphs=GRAPHS,
            url=self.ledger.url,
            broker_url=self.broker.url,
            namespace=self.cluster.namespace,
            name=name,
            log=self.folder / f"{name}.log",
            pool=pool,
            arguments=arguments,
        )
        self.workers.append(worker)
        worker.wait_ready(60, lambda: any(seen.pid == worker.pid for seen in self.cluster.workers()))
        return worker

    def finished(self, batch: Batch, items: list[sums.Item]) -> None:
        """The batch ends right, nobody is blamed, no process is lost, and no key is left."""
        status = batch.wait(90)
        results = list(batch.results())
        assert [result.error for result in results if result.status != "done"] == []
        assert [result.value for result in results] == [sums.expected(item) for item in items]
        assert (status.total, status.done, status.failed) == (len(items), len(items), 0)
        wait_at_rest(self.cluster)
        assert crashes(self.cluster, batch.batch_id) == {}
        assert all(worker.alive for worker in self.workers)
        batch.delete()
        wait_at_rest(self.cluster)
        with connect(self.broker.url) as client:
            wait_until(lambda: client.keys("dg.*") == [], what="the broker holds no hint")
            assert client.keys("dg:*") == []
        with connect(self.ledger.url) as client:
            assert client.keys("dg.*") == client.keys("_kombu*") == []


@contextmanager
def split(folder: Path, *, workers: int = 2, pool: str = "prefork", arguments: Sequence[str] = ()) -> Iterator[Split]:
    with ExitStack() as stack:
        made = Split(stack, folder)
        try:
            for _ in range(workers):
                made.add_worker(pool, arguments)
            yield made
        finally:
            for worker in made.workers:
                worker.terminate()
            for worker in made.workers:
                worker.stop(10)


@contextmanager
def killed(server: EmbeddedServer) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.restart()


@contextmanager
def silent(server: EmbeddedServer) -> Iterator[None]:
    """It takes connections and answers nothing."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def submit(made: Split, count: int, placement: Placement) -> tuple[Batch, list[sums.Item]]:
    items = sums.items(count)
    batch = made.cluster.bind(sums.graph, placement=placement).submit_batch(items)
    wait_for_progress(made.cluster, batch.batch_id, count // 5)
    return batch, items


def in_hand(made: Split, batch: Batch) -> bool:
    """Whether a slot is about some items of the batch."""
    ledger = made.cluster.ledger
    return any(ledger.batches.slices(batch.batch_id, part) for part in range(ledger.keys.partitions))


@pytest.mark.parametrize("pool", ["prefork", *OTHER_POOLS])
@pytest.mark.parametrize("trouble", [killed, silent])
def test_a_batch_goes_on_without_its_broker(trouble: Any, pool: str, tmp_path: Path) -> None:
    """What was taken is driven on and committed, and so is what comes after it: nobody else would take that now."""
    with split(tmp_path, pool=pool) as made:
        # With "auto", tasks that were offered to others before would wait; how many, depends on how busy the machine is.
        batch, items = submit(made, 800, "local")
        # A slot that holds items goes on; one whose next hint is on its way gets it when the broker is back.
        wait_until(lambda: in_hand(made, batch), 20, "some slot holds items")
        with trouble(made.broker):
            wait_for_progress(made.cluster, batch.batch_id, 600)
        made.finished(batch, items)


@pytest.mark.parametrize("pool", ["prefork", *OTHER_POOLS])
def test_what_travels_waits_for_the_broker(pool: str, tmp_path: Path) -> None:
    """It comes back empty, and what it held is hinted again within the usual time."""
    with split(tmp_path, pool=pool) as made:
        batch, items = submit(made, 60, "spread")
        with killed(made.broker):
            time.sleep(LASTS)  # how long it lasts is its point
            before = batch.status().done
        wait_for_progress(made.cluster, batch.batch_id, before + 5, SOON)
        made.finished(batch, items)


@pytest.mark.parametrize(("placement", "count"), [("spread", 60), *nightly(("auto", 1000))])
def test_the_ledger_is_killed(placement: Placement, count: int, tmp_path: Path) -> None:
    with split(tmp_path) as made:
        batch, items = submit(made, count, placement)
        with killed(made.ledger):
            time.sleep(LASTS)
        before = batch.status().done
        wait_for_progress(made.cluster, batch.batch_id, min(count, before + count // 10), SOON)
        made.finished(batch, items)
        wait_until(lambda: len(made.cluster.workers()) == 2)


@pytest.mark.parametrize("server", ["broker", "ledger"])
def test_a_wide_run_goes_on(server: str, tmp_path: Path) -> None:
    """Every task of every superstep is a message of its own."""
    item: Any = sums.items(1, width=60, rounds=3, delay_ms=40)[0]
    with split(tmp_path) as made:
        run = made.cluster.bind(sums.graph, placement="spread").submit(item)
        wait_until(lambda: made.cluster.dispatcher.waiting() > 10, what="hints of its tasks wait")
        with killed(getattr(made, server)):
            time.sleep(LASTS)
        assert run.result(60) == sums.expected(item)
        wait_at_rest(made.cluster)
        assert all(worker.alive for worker in made.workers)


@pytest.mark.parametrize(("placement", "count"), [("auto", 800), *nightly(("spread", 50))])
def test_the_broker_alone_loses_what_it_holds(placement: Placement, count: int, tmp_path: Path) -> None:
    """Again and again: emptied, as one is that was set back to an earlier state."""
    with split(tmp_path) as made, connect(made.broker.url) as client:
        items = sums.items(count)
        batch = made.cluster.bind(sums.graph, placement=placement).submit_batch(items)
        for turn in range(6):
            wait_for_progress(made.cluster, batch.batch_id, turn * count // 8, SOON)
            client.flushall()
        made.finished(batch, items)


def test_the_broker_comes_back_with_messages_of_long_ago(tmp_path: Path) -> None:
    """Hints of what is done by now do no harm."""
    with split(tmp_path) as made, connect(made.broker.url) as client:
        queue, old = queue_name(made.cluster.namespace), set[bytes]()
        batch, items = submit(made, 50, "spread")
        while batch.status().done < len(items):
            old.update(client.lrange(queue, 0, -1))
        assert old
        second = made.cluster.bind(sums.graph).submit_batch(items, batch_id="second")
        client.lpush(queue, *old)
        assert second.wait(60).done == len(items)
        second.delete()
        made.finished(batch, items)


def test_submitted_while_the_broker_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The submitter is told, and is done; a worker starts meanwhile; when the broker comes, all of it runs."""
    items = sums.items(200)
    with split(tmp_path, workers=0) as made, Cluster.connect(made.ledger.url, broker_url=made.broker.url) as other:
        made.add_worker("prefork")
        with killed(made.broker):
            late = made.add_worker("prefork")
            began = time.monotonic()
            batch = other.bind(sums.graph).submit_batch(items)
            run = other.bind(sums.graph).submit(items[0])
            assert time.monotonic() - began < 5
            assert "is away; nothing is lost" in caplog.text
            assert batch.status().done == 0
        wait_for_progress(made.cluster, batch.batch_id, 1, SOON)
        assert run.result(30) == sums.expected(items[0])
        assert late.alive
        made.finished(made.cluster.batch(batch.batch_id), items)


@pytest.mark.parametrize(("patience", "times"), [(60, 1), (1, 2)])
def test_a_node_ends_while_the_ledger_is_away(patience: float, times: int, tmp_path: Path) -> None:
    """Its result is offered again for as long as the operator says; then it is given up, and the node runs again."""
    gate, log = tmp_path / "open", tmp_path / "log"
    with split(tmp_path, workers=1, arguments=("--commit-patience", str(patience))) as made:
        run = made.cluster.bind(hard.gate).submit({"file": str(gate), "log": str(log)})
        wait_until(log.exists)
        with killed(made.ledger):
            gate.touch()
            time.sleep(LASTS)
        assert run.result(30)["steps"] == ["first", "wait", "last"]
        assert len(log.read_text().splitlines()) == times
        wait_at_rest(made.cluster)


@pytest.mark.parametrize("pool", ["solo", *nightly("prefork", "threads")])
def test_a_worker_can_be_stopped_without_its_broker(pool: str, tmp_path: Path) -> None:
    """It finishes what it runs, and hands the rest back."""
    with split(tmp_path, workers=1, pool=pool) as made:
        batch, items = submit(made, 600, "auto")
        with killed(made.broker):
            time.sleep(1.0)  # it has noticed
            began = time.monotonic()
            made.workers.pop().stop(30)
            assert time.monotonic() - began < 15
            made.add_worker(pool)
        made.finished(batch, items)
