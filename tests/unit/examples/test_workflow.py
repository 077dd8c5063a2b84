"""The sample workflow."""

from __future__ import annotations

from distgraph.examples.workflow import workflow
from distgraph.testing import InProcessCluster


def test_in_process_and_on_a_cluster() -> None:
    texts = ["It rained.", "We stayed at home.", ""]
    cluster = InProcessCluster([workflow])
    assert workflow.invoke(texts) == cluster.bind(workflow).invoke(texts) == {"texts": 3, "words": 6}
