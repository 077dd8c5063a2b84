"""Every form of address that is taken leads all of distgraph to the server: its own clients, and Celery's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from redis.exceptions import ConnectionError as NotConnected

from distgraph.cluster import Cluster
from distgraph.cluster.celery.config import settings
from distgraph.cluster.processes import WorkerProcess
from distgraph.examples import sums
from distgraph.ledger.server import EmbeddedServer
from tests.servers import behind_tls, running_server

pytestmark = pytest.mark.integration


@pytest.fixture(params=["unix", "db", "tls"])
def address(request: pytest.FixtureRequest, server_program: str, tmp_path: Path) -> Iterator[str]:
    """The address of a server of the test's own."""
    with EmbeddedServer(binary=server_program, persistence="memory", password="s3;cret") as own:
        if request.param == "tls":
            with behind_tls(own.port, tmp_path) as (port, authority):
                yield f"rediss://:s3%3Bcret@localhost:{port}/0?ssl_ca_certs={authority}"
        elif request.param == "db":
            yield own.url.removesuffix("/0") + "?db=3"
        elif own.unix_url is None:
            pytest.skip("the directory's path is too long for a socket")
        else:
            yield own.unix_url


def test_a_worker_takes_work_there(address: str, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with Cluster.connect(address) as cluster:
        worker = WorkerProcess(
            graphs=["workers.graphs"], url=address, namespace=cluster.namespace, name="w", pool="threads", log=log
        )
        with worker:
            worker.wait_ready(60, lambda: any(seen.pid == worker.pid for seen in cluster.workers()))
            item: sums.Item = {"index": 7}
            assert cluster.bind(sums.graph).invoke(item) == sums.expected(item)
    assert "s3;cret" not in log.read_text()
    assert "s3%3Bcret" not in log.read_text()


def test_celery_does_not_speak_to_a_server_that_it_cannot_trust(server_program: str, tmp_path: Path) -> None:
    with running_server(server_program) as plain, behind_tls(plain, tmp_path) as (port, _):
        app = Celery("distgraph", set_as_current=False)
        app.conf.update(settings(f"rediss://localhost:{port}/0", "n"))
        with app.connection_for_write() as connection, pytest.raises(NotConnected, match="certificate"):
            connection.connect()
