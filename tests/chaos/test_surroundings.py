"""Nodes that break what their process is made of, and machines that are not as they should be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.config import RunnableConfig
from distgraph.errors import PoisonTaskError
from tests.graphs.rude import rude
from tests.integration.cluster.at_rest import wait_at_rest
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]


@pytest.fixture
def cluster() -> Iterator[EmbeddedCluster]:
    """One for each test: a process that a node has changed serves others until it is given up."""
    with Cluster.embedded(workers=1, graphs=["tests.graphs.rude"]) as made:
        yield made


@pytest.mark.parametrize("how", ["bytes", "text", "json", "time", "socket", "frozen"])
def test_a_node_may_print_and_replace_what_it_likes(cluster: EmbeddedCluster, how: str) -> None:
    """Bytes on the standard streams; modules that others use: distgraph has references of its own to what it needs."""
    graph = cluster.bind(rude)
    for given in (how, "nothing"):
        assert graph.submit({"how": given}).result(30)["done"] == [given, "after"]
    batch = graph.submit_batch([{"how": how}] * 5)
    assert batch.wait(30).done == 5
    wait_at_rest(cluster)


def test_bytes_that_a_node_prints_come_out(cluster: EmbeddedCluster) -> None:
    cluster.bind(rude).submit({"how": "bytes"}).result(30)
    said = cluster.processes[0].log.read_bytes()
    assert b"\xff\x00\x80\n" in said
    assert b"\xfe\n" in said


@pytest.mark.parametrize("how", ["monotonic", "getpid"])
@pytest.mark.parametrize("batch", [False, True])
def test_a_process_that_was_broken_is_given_up(cluster: EmbeddedCluster, how: str, batch: bool) -> None:
    """Its driver fails, and can let go of nothing: a crash, that does not come again for ever; others find it made anew."""
    graph = cluster.bind(rude)
    if batch:
        items = graph.submit_batch([{"how": "nothing"}, {"how": how}, {"how": "nothing"}])
        status = items.wait(60)
        assert (status.done, status.failed) == (2, 1)
        [failed] = items.failures()
        assert failed.error is not None
        assert failed.error["kind"] == "poison"
    else:
        with pytest.raises(PoisonTaskError, match="its driver failed"):
            graph.submit({"how": how}).result(60)
    assert graph.submit({"how": "nothing"}).result(30)["done"] == ["nothing", "after"]
    wait_at_rest(cluster)


def test_changes_of_the_time_zone_move_no_checkpoint(cluster: EmbeddedCluster) -> None:
    """From a day ahead to a day behind, and where clocks are put back in between."""
    graph, config = cluster.bind(rude), RunnableConfig(configurable={"thread_id": "zones"})
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago", "CET-1CEST,J1/0,J365/23", "UTC0"):
        graph.invoke({"how": "zone", "zone": zone}, config)
    stamps = [state.created_at or "" for state in graph.get_state_history(config)]
    assert stamps == sorted(stamps, reverse=True)
    assert len(stamps) == 16
    assert {stamp[-6:] for stamp in stamps} == {"+00:00"}


@contextmanager
def worker_of(cluster: EmbeddedCluster, namespace: str, command: Sequence[str], log: int) -> Iterator[Any]:
    """A graph bound to a worker of its own, which is started by ``command`` and drains in the end."""
    words = ["-m", "distgraph", "worker", "--graphs", "tests.graphs.rude", "--concurrency", "2"]
    address = ["--url", cluster.server.url, "--namespace", namespace]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    worker = subprocess.Popen([*command, *words, *address], stdout=log, stderr=log, env=environment)
    try:
        with Cluster.connect(cluster.server.url, namespace=namespace) as client:
            wait_until(lambda: client.workers() or worker.poll() is not None, 60)
            yield client.bind(rude)
    finally:
        worker.terminate()
        assert worker.wait(30) == 0


@pytest.mark.parametrize("log", ["full", "closed"])
def test_a_worker_that_cannot_log_works(cluster: EmbeddedCluster, log: str) -> None:
    """The disk is full, or nobody reads any more what it says."""
    if log == "full":
        write = os.open("/dev/full", os.O_WRONLY)
    else:
        read, write = os.pipe()
        os.close(read)
    try:
        with worker_of(cluster, f"log-{log}", [sys.executable], write) as graph:
            for how in ("text", "nothing"):
                assert graph.submit({"how": how}).result(30)["done"] == [how, "after"]
    finally:
        os.close(write)


def test_a_worker_that_may_open_few_files_works(cluster: EmbeddedCluster) -> None:
    few = ["sh", "-c", f'ulimit -n 64; exec "{sys.executable}" "$@"', "sh"]
    with worker_of(cluster, "few-files", few, subprocess.DEVNULL) as graph:
        assert graph.submit_batch([{"how": "nothing"}] * 50).wait(30).done == 50
