"""One thread, two kinds of company: runs of a cluster and graphs in this process read and write the same checkpoints.

The cluster here has one slot, and works when it is asked to: what a worker does, without its process.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from distgraph.checkpoint.redis import RedisSaver
from distgraph.cluster.client import Cluster
from distgraph.cluster.drive import drive
from distgraph.cluster.hints import Hint, NodeHint, RunHint
from distgraph.cluster.node_task import run_tasks
from distgraph.cluster.registry import Registry
from distgraph.cluster.workplace import Workplace
from distgraph.errors import ThreadBusyError
from distgraph.ledger.ledger import Ledger
from distgraph.ledger.places import numbered
from distgraph.types import Command
from tests.integration.saver_graph import CONFIG, graph, pend_key, saved

pytestmark = pytest.mark.integration

DONE = ["count", "fine", "beside", 0, 1, 2]


class Desk:
    """A cluster's client and its one slot, in this process: hints wait until ``work`` is called."""

    def __init__(self, url: str, namespace: str) -> None:
        self.ledger = Ledger(url, namespace)
        self.ledger.fleet.join()
        self.hints: deque[Hint] = deque()
        registry = Registry()
        served = registry.add(graph())
        self.ledger.fleet.serve(registry.about())
        ledger = self.ledger
        self.place = Workplace(
            ledger.runs,
            ledger.batches,
            ledger.items,
            ledger.kept,
            ledger.lines,
            ledger.fleet,
            registry,
            self,  # type: ignore[arg-type]
            "desk:1.0",
        )
        self.cluster = Cluster(self.ledger, self, persistence="memory", secret=None)  # type: ignore[arg-type]
        self.remote = self.cluster.bind(served.graph)

    def publish(self, hints: Sequence[Hint]) -> None:
        self.hints.extend(hints)

    def reachable(self) -> bool:
        return True

    def waiting(self, queue: str | None = None) -> int:
        return len(self.hints)

    def close(self) -> None:
        for run in self.ledger.runs.runs():
            self.ledger.runs.control("cancel", run, "end")
            self.ledger.runs.delete(run)
        self.remote.checkpointer.delete_thread("t")
        self.remote.checkpointer.close()
        self.ledger.close()

    def work(self) -> None:
        """Follow the hints until there are none."""
        while self.hints:
            hint = self.hints.popleft()
            if isinstance(hint, RunHint):
                drive(self.place, hint)
            elif isinstance(hint, NodeHint):
                run_tasks(self.place, hint)

    def run(self, given: Any, **options: Any) -> Any:
        """Submit a run on the thread, work it off, and give what it came to."""
        handle = self.remote.submit(given, CONFIG, run_id=uuid.uuid4().hex, **options)
        self.work()
        return handle.result(timeout=0)


@pytest.fixture
def desk(redis_url: str, namespace: str) -> Iterator[Desk]:
    desk = Desk(redis_url, namespace)
    yield desk
    desk.close()


@pytest.fixture
def saver(redis_url: str, namespace: str) -> Iterator[RedisSaver]:
    with RedisSaver.from_conn_string(redis_url, namespace=namespace) as saver:
        yield saver


def test_a_thread_that_workers_ran_is_looked_at_here(desk: Desk, saver: RedisSaver) -> None:
    asked = desk.run({"x": 1})
    assert asked["__interrupt__"][0].value == "well?"
    state = graph(saver).get_state(CONFIG)
    assert state.next == ("ask",)
    assert state.values == {"x": 2, "log": ["count", "beside"]}
    assert state.interrupts == tuple(asked["__interrupt__"])
    assert state.metadata["step"] == 1


def test_its_history_is_that_of_the_same_thread_run_here(desk: Desk, saver: RedisSaver) -> None:
    """Same states, same order, whoever ran the thread."""
    desk.run({"x": 1})
    local = graph(saver)
    with_id: Any = {"configurable": {"thread_id": "here"}}
    local.invoke({"x": 1}, with_id)
    theirs, ours = [*local.get_state_history(CONFIG)], [*local.get_state_history(with_id)]
    saver.delete_thread("here")
    assert [(one.values, one.next) for one in theirs] == [(one.values, one.next) for one in ours]


def test_a_question_of_a_run_is_answered_here(desk: Desk, saver: RedisSaver) -> None:
    """What finished beside the question on the cluster is not run again: its outcome is among the pending writes."""
    desk.run({"x": 1})
    pending = saved(saver).pending_writes or []
    assert {channel for _, channel, _ in pending} >= {"__interrupt__", "log"}
    assert graph(saver).invoke(Command(resume="fine"), CONFIG)["log"] == DONE
    assert saved(saver).pending_writes == []
    assert desk.remote.get_state(CONFIG).values == {"x": 2, "log": DONE}


def test_a_thread_of_this_process_is_continued_by_workers(desk: Desk, saver: RedisSaver) -> None:
    local = graph(saver)
    local.invoke({"x": 1}, CONFIG)
    local.invoke(Command(resume="fine"), CONFIG)
    assert desk.run({"x": 10})["x"] == 11
    assert local.get_state(CONFIG).values == {"x": 11, "log": [*DONE, "count", "beside"]}
    assert local.invoke(Command(resume="again"), CONFIG)["log"] == [*DONE, "count", "again", "beside", 0, 1, 2]


def test_a_run_is_forked_here_and_the_fork_goes_on_here(desk: Desk, saver: RedisSaver) -> None:
    desk.run({"x": 1})
    local = graph(saver)
    past = next(one for one in local.get_state_history(CONFIG) if one.next == ("count",))
    forked = local.update_state(past.config, {"x": 40})
    assert local.invoke(None, forked)["x"] == 41
    assert past.values == {"x": 1, "log": []}


def test_while_a_run_holds_the_thread_nothing_is_stored_or_deleted_here(desk: Desk, saver: RedisSaver) -> None:
    """A checkpoint from outside would be one that the run does not know of; it is told which run to wait for."""
    desk.run({"x": 1})
    head = saved(saver)
    handle = desk.remote.submit({"x": 5}, CONFIG)
    local = graph(saver)
    for change in (
        lambda: local.invoke(Command(resume="fine"), CONFIG),
        lambda: local.update_state(CONFIG, {"x": 3}),
        lambda: saver.put_writes(head.config, [("x", 1)], "task"),
        lambda: saver.delete_thread("t"),
    ):
        with pytest.raises(ThreadBusyError, match="busy with run") as caught:
            change()
        assert caught.value.run_id == handle.run_id
    assert saved(saver).checkpoint == head.checkpoint
    desk.work()
    assert handle.result(timeout=0)["x"] == 6
    assert local.update_state(CONFIG, {"x": 3})["configurable"]["thread_id"] == "t"


def test_a_checkpoint_that_is_put_twice_is_not_refused_by_a_run_that_came_between(
    desk: Desk, saver: RedisSaver
) -> None:
    """A client that lost the reply repeats the call: the first one was applied."""
    graph(saver).invoke({"x": 1}, CONFIG)
    head = saved(saver)
    handle = desk.remote.submit({"x": 5}, CONFIG)
    again = {"configurable": {**head.parent_config["configurable"]}}
    assert saver.put(again, head.checkpoint, head.metadata, {}) == head.config
    desk.work()
    assert handle.result(timeout=0)["x"] == 6


def test_writes_that_a_run_keeps_for_the_history_are_read_as_those_of_savers(
    desk: Desk, saver: RedisSaver, namespace: str
) -> None:
    graph(saver).invoke({"x": 1}, CONFIG)
    first = [*saver.list(CONFIG)][-1]
    data = saver.codec.encode([["x", 7]])
    kept = numbered(first.checkpoint["id"], [("task-2", "~b", data), ("task-1", "~a", data)])
    key = pend_key(namespace)
    desk.ledger.client.hdel(key, *(name for name, _ in kept))
    desk.ledger.client.hset(key, mapping=dict(kept))
    pending = saved(saver, first.config).pending_writes or []
    assert pending[-2:] == [("task-1", "x", 7), ("task-2", "x", 7)]


def test_a_thread_whose_runs_keep_the_latest_checkpoint_shows_that_one(desk: Desk, saver: RedisSaver) -> None:
    desk.run({"x": 1}, keep="latest")
    listed = [*saver.list(CONFIG)]
    assert [one.checkpoint["id"] for one in listed] == [saved(saver).checkpoint["id"]]
    assert listed[0].checkpoint["channel_values"]["x"] == 2
    assert [*saver.list(CONFIG, before=listed[0].config)] == []
    assert len([*saver.list(None)]) == 1


def test_versions_and_ids_go_on_growing_across_the_border(desk: Desk, saver: RedisSaver) -> None:
    local = graph(saver)
    local.invoke({"x": 1}, CONFIG)
    local.invoke(Command(resume="fine"), CONFIG)
    desk.run({"x": 10})
    local.invoke(Command(resume="fine"), CONFIG)
    line = [one.checkpoint for one in saver.list(CONFIG)][::-1]
    assert [one["id"] for one in line] == sorted({one["id"] for one in line})
    versions = [one["channel_versions"]["x"] for one in line if "x" in one["channel_versions"]]
    assert versions == sorted(versions)
    parents = [one.parent_config for one in saver.list(CONFIG)]
    assert [parent["configurable"]["checkpoint_id"] for parent in parents[:-1]] == [one["id"] for one in line[-2::-1]]
