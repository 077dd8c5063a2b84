"""A user in a process of its own, who can be killed: does what each line of its standard input asks for.

    python -m distgraph.chaos.submitter URL NAMESPACE

A line is ``{"do": NAME, ...}``; the answer is ``{"ok": VALUE}`` or ``{"error": CLASS, "message": TEXT}``. Every request has
the ids it needs in it, so that whoever is not answered makes the same request again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from distgraph.chaos import point_graphs
from distgraph.chaos.fault import arm_from
from distgraph.cluster import Cluster
from distgraph.errors import DistgraphError
from distgraph.examples import flaky, human_review, sums

#: The graphs that chaos runs, by name.
GRAPHS = {
    graph.name: graph
    for graph in (
        sums.graph,
        flaky.graph,
        human_review.graph,
        point_graphs.gated,
        point_graphs.needing,
        point_graphs.paying,
        point_graphs.napping,
        point_graphs.dice,
        point_graphs.nesting,
        point_graphs.keeping,
        point_graphs.chaos_flow,
    )
}


def bound(cluster: Cluster, graph: str, placement: str = "auto") -> Any:
    """One of ``GRAPHS``, bound."""
    return cluster.bind(GRAPHS[graph], placement=placement)  # type: ignore[arg-type]


class User:
    """What can be asked for."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def submit(
        self, graph: str, given: Any, run_id: str, thread_id: str, placement: str = "auto", hint: bool = True
    ) -> None:
        """Submit a run; ``hint=False``: as if this process had died before it sent its hint."""
        dispatcher: Any = self.cluster.dispatcher
        publish = dispatcher.publish
        try:
            if not hint:
                dispatcher.publish = lambda hints, first=False: None
            config = {"configurable": {"thread_id": thread_id}}
            bound(self.cluster, graph, placement).submit(given, config, run_id=run_id)
        finally:
            dispatcher.publish = publish

    def submit_batch(
        self, graph: str, items: list[Any], batch_id: str, placement: str = "auto", retention: float | None = None
    ) -> None:
        bound(self.cluster, graph, placement).submit_batch(items, batch_id=batch_id, retention=retention)

    def resume(self, graph: str, run_id: str, value: Any) -> None:
        self.cluster.bind(GRAPHS[graph])
        self.cluster.run(run_id).resume(value)

    def cancel(self, run_id: str) -> bool:
        return self.cluster.run(run_id).cancel()

    def delete(self, run_id: str) -> None:
        self.cluster.run(run_id).delete()

    def steer(self, batch_id: str, what: str) -> Any:
        """``pause``, ``unpause``, ``cancel``, ``retry_failed`` or ``delete`` a batch."""
        return getattr(self.cluster.batch(batch_id), what)()

    def update_state(self, graph: str, thread_id: str, values: dict[str, Any]) -> None:
        bound(self.cluster, graph).update_state({"configurable": {"thread_id": thread_id}}, values)

    def get_state(self, graph: str, thread_id: str) -> Any:
        return bound(self.cluster, graph).get_state({"configurable": {"thread_id": thread_id}}).values

    def clear_cache(self, graph: str) -> None:
        bound(self.cluster, graph).clear_cache()

    def prune(self, thread_id: str) -> None:
        saver: Any = self.cluster.saver(self.cluster.codec())
        with saver:
            saver.prune([thread_id])

    def drop_thread(self, thread_id: str) -> None:
        saver: Any = self.cluster.saver(self.cluster.codec())
        with saver:
            saver.delete_thread(thread_id)


def main() -> None:
    """Answer until standard input ends."""
    said = arm_from(os.environ, "client")
    if said:
        sys.stderr.write(said + "\n")
    with Cluster.connect(sys.argv[1], namespace=sys.argv[2]) as cluster:
        user = User(cluster)
        _say({"ok": "ready"})
        for line in sys.stdin:
            told = json.loads(line)
            _say(_answer(getattr(user, told.pop("do")), told))


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _answer(act: Callable[..., Any], told: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"ok": act(**told)}
    except DistgraphError as error:
        return {"error": type(error).__name__, "message": str(error)}


if __name__ == "__main__":
    main()
