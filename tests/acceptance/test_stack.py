"""The compose file comes up: its very commands, as processes, on a server with its configuration.

What only containers have is replaced: the server's name by loopback, its data folder by one of the test, the published
ports by free ones. The operator of this stack has chosen a threads pool of three.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from distgraph.cluster import Cluster
from tests.acceptance.deployment import (
    ROOT,
    clean_environment,
    compose_file,
    environment_of,
    image_command,
    image_health_check,
    interpolate,
    listeners,
    process,
    programs,
)
from tests.servers import free_port, running_server
from tests.waiting import wait_until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

#: What the operator wrote into .env.
GIVEN = {
    "DISTGRAPH_PASSWORD": "s3cret",
    "DISTGRAPH_FLOWER_PASSWORD": "open:se,same",
    "DISTGRAPH_NAMESPACE": "shop",
    "DISTGRAPH_POOL": "threads",
    "DISTGRAPH_CONCURRENCY": "3",
    "DISTGRAPH_QUEUES": "gpu",
}


@dataclass(frozen=True)
class Stack:
    """What came up."""

    services: dict[str, Any]
    server_port: int
    flower_port: int
    path: str
    folder: Path

    def env(self, service: str) -> dict[str, str]:
        """The variables of a service's process."""
        told = environment_of(self.services[service], GIVEN)
        told["DISTGRAPH_URL"] = told["DISTGRAPH_URL"].replace("@redis:6379", f"@127.0.0.1:{self.server_port}")
        # what the image sets
        told["PYTHONPATH"] = str(ROOT)
        return {**clean_environment(), **told, "DISTGRAPH_FLOWER_PORT": str(self.flower_port), "PATH": self.path}

    def healthy(self, service: str) -> bool:
        """Run the health check of a service once."""
        check = self.services[service].get("healthcheck", {"test": ["CMD", *image_health_check()]})["test"][1:]
        done = subprocess.run(check, env=self.env(service), cwd=ROOT, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode == 0

    def cluster(self) -> Cluster:
        """A client of the stack."""
        return Cluster.connect(self.env("worker")["DISTGRAPH_URL"], namespace="shop")

    def flower(self, page: str, method: str = "GET") -> str:
        """A page of Flower."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.flower_port}{page}", method=method)
        user = f"distgraph:{GIVEN['DISTGRAPH_FLOWER_PASSWORD']}"
        request.add_header("Authorization", f"Basic {base64.b64encode(user.encode()).decode()}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.read().decode())


@pytest.fixture(scope="module")
def server(server_binary: str) -> Iterator[int]:
    """The server with the command of the compose file; its port."""
    service = compose_file()["services"]["redis"]
    mounted = dict(volume.split(":")[1::-1] for volume in service["volumes"])
    words = [interpolate(word, GIVEN) for word in service["command"][1:]]
    words = [str(ROOT / mounted[word]) if word.endswith(".conf") else word for word in words]
    words.remove("--dir")
    words.remove("/data")  # a folder of the test instead
    with running_server(server_binary, *words) as port:
        yield port


@pytest.fixture(scope="module")
def stack(server: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Worker and Flower, healthy by their own health checks."""
    folder = tmp_path_factory.mktemp("stack")
    services = compose_file()["services"]
    made = Stack(services, server, free_port(), programs(folder), folder)
    worker = process(image_command(), env=made.env("worker"), log=folder / "worker.log")
    flower = process(services["flower"]["command"], env=made.env("flower"), log=folder / "flower.log")
    with worker, flower:
        wait_until(lambda: made.healthy("worker"), 60, f"the worker is healthy; its log is in {folder}")
        wait_until(lambda: made.healthy("flower"), 60, f"Flower is healthy; its log is in {folder}")
        yield made


def test_the_server_keeps_what_it_is_told(server: int) -> None:
    """A password is needed, nothing is evicted, every write reaches the append-only file."""
    with redis.Redis(port=server) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with redis.Redis(port=server, password="s3cret", decode_responses=True) as client:
        settings = client.config_get("maxmemory-policy", "appendonly", "appendfsync", "save")
    assert settings == {
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
    }


def test_the_worker_is_the_one_that_was_asked_for(stack: Stack) -> None:
    """Pool, slots, queues and graphs come from the environment."""
    with stack.cluster() as cluster:
        (worker,) = cluster.workers()
    assert (worker.pool, worker.slots, worker.host) == ("threads", 3, socket.gethostname())
    assert set(worker.queues) == {"dg.shop", "gpu"}
    assert {"census", "chain"} <= set(worker.graphs)


def test_it_works(stack: Stack) -> None:
    with stack.cluster() as cluster:
        assert cluster.bind("chain").invoke({"text": "It rained. We stayed at home."})["verdict"] == "easy"
        batch = cluster.bind("chain").submit_batch({"text": "It rained."} for _ in range(20))
        assert batch.wait(30).done == 20


def test_a_busy_worker_is_well(stack: Stack) -> None:
    """All slots compute, and share one interpreter with whoever would have to answer: beats come from elsewhere."""
    with stack.cluster() as cluster:
        remote = cluster.bind("crunch", placement="local")
        runs = [remote.submit({"start": 1_000_000, "count": 200_000}) for _ in range(3)]
        wait_until(lambda: cluster.workers()[0].busy == 3, 20, "all slots are busy")
        assert stack.healthy("worker")
        assert {run.status() for run in runs} == {"running"}
        for run in runs:
            run.cancel()


def test_flower_shows_nodes_and_links_them_to_their_run(stack: Stack) -> None:
    """A node that travelled reads `graph/node`; its page links to the run; the search field finds it by the run."""
    with stack.cluster() as cluster:
        remote = cluster.bind("map_reduce", placement="spread")

        def shown() -> dict[str, dict[str, Any]]:
            remote.invoke({"documents": ["to be", "or not"]})  # what is before Flower listens, it never sees
            rows = json.loads(stack.flower("/api/tasks?limit=1000"))
            return {row["name"]: row for row in rows.values() if row["state"] == "SUCCESS"}

        wanted = {"run:map_reduce", "map_reduce/plan", "map_reduce/count", "map_reduce/rank"}
        wait_until(lambda: wanted <= shown().keys(), 30, "Flower shows the run and its nodes")
        run = remote.submit({"documents": ["to be", "or not"]}, run_id="letters-42")
        run.result(30)
    ours = f"/api/tasks?{urllib.parse.urlencode({'search': 'kwargs:run=letters-42'})}"
    wait_until(lambda: len(json.loads(stack.flower(ours))) == 5, 10, "the run, plan, two counts, rank")
    rows = json.loads(stack.flower(ours))
    count = next(row for row in rows.values() if row["name"] == "map_reduce/count")
    assert (count["root_id"], count["parent_id"]) == ("letters-42", "letters-42")
    page = stack.flower(f"/task/{count['uuid']}")
    assert 'href="/task/letters-42"' in page
    assert "run:map_reduce" in stack.flower("/task/letters-42")


def test_flower_is_as_closed_as_on_a_machine_of_ones_own(stack: Stack) -> None:
    """Its settings are those of `distgraph flower`: a password, read-only."""
    stranger = urllib.request.Request(f"http://127.0.0.1:{stack.flower_port}/tasks")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(stranger, timeout=10)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        stack.flower("/api/task/send-task/distgraph.run", method="POST")


def test_flower_can_be_reached_through_the_published_port(stack: Stack) -> None:
    """Inside its container Flower listens to the container's network: loopback alone could not be published."""
    assert listeners(stack.flower_port) & {"0.0.0.0", "::"}


def test_a_stopped_worker_drains_and_is_not_well_any_more(stack: Stack) -> None:
    """`docker stop`: exit code 0, and the health check says at once that no worker beats."""
    env = {**stack.env("worker"), "DISTGRAPH_NAMESPACE": "elsewhere", "DISTGRAPH_POOL": "prefork"}
    check = [*image_health_check()]

    def health() -> subprocess.CompletedProcess[str]:
        return subprocess.run(check, env=env, cwd=ROOT, capture_output=True, text=True, check=False)

    with process(image_command(), env=env, log=stack.folder / "second.log") as worker:
        wait_until(lambda: health().returncode == 0, 60, "the worker is healthy")
        worker.terminate()
        assert worker.wait(20) == 0, (stack.folder / "second.log").read_text()
    after = health()
    assert after.returncode == 1
    assert after.stderr == f"unhealthy: no worker of {socket.gethostname()} beats in namespace 'elsewhere'\n"
