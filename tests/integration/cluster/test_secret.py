"""A client and workers that do not share a secret: one clear error, and everybody else goes on."""

from __future__ import annotations

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import CheckpointCorruptError, WaitTimeoutError
from distgraph.examples.chain import graph as chain
from tests.integration.cluster.at_rest import wait_at_rest

pytestmark = pytest.mark.integration


def test_a_run_signed_with_another_secret_fails_and_holds_up_nobody(cluster: EmbeddedCluster) -> None:
    with Cluster.connect(cluster.server.url, secret="not the workers' secret") as stranger:
        run = stranger.bind(chain).submit({"text": "One."})
        with pytest.raises(CheckpointCorruptError):
            run.result(timeout=20)
        assert cluster.run(run.run_id).status() == "failed"
    assert cluster.bind(chain).invoke({"text": "One two."})["words"] == 2
    wait_at_rest(cluster)


def test_a_batch_signed_with_another_secret_waits_and_holds_up_nobody(cluster: EmbeddedCluster) -> None:
    with Cluster.connect(cluster.server.url, secret="not the workers' secret") as stranger:
        batch = stranger.bind(chain).submit_batch([{"text": "One."}] * 3)
        with pytest.raises(WaitTimeoutError):
            batch.wait(timeout=1)
        assert cluster.bind(chain).invoke({"text": "One two."})["words"] == 2
        batch.delete()
    wait_at_rest(cluster)
