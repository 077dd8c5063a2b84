"""Runs that keep the latest checkpoint alone delete what they made, never what they found."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.checkpoint.redis import RedisSaver
from distgraph.cluster import Cluster
from distgraph.examples.chain import graph as chain

pytestmark = pytest.mark.integration


@pytest.mark.leaves_keys
def test_a_run_that_keeps_the_latest_leaves_the_history_it_found(cluster: Cluster) -> None:
    """First a run with its whole history, then one that keeps only its latest checkpoint, on the same thread."""
    remote = cluster.bind(chain)
    config: Any = {"configurable": {"thread_id": "kept"}}
    first = remote.submit({"text": "One. Two."}, config, keep="all").result(timeout=20)
    before = [snapshot.values for snapshot in remote.get_state_history(config)]
    remote.submit({"text": "Three words here."}, config, keep="latest").result(timeout=20)
    after = [snapshot.values for snapshot in remote.get_state_history(config)]
    assert remote.get_state(config).values["words"] == 3
    assert first in before
    assert after[-len(before) :] == before
    assert isinstance(remote.checkpointer, RedisSaver)
