"""Fifty at once on one thread: its history stays one line, and each caller gets what the strategy says."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from distgraph.checkpoint.redis import RedisSaver
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import AlreadyResumedError, RunCancelledError, ThreadBusyError
from distgraph.examples import human_review
from distgraph.types import Command, MultitaskStrategy
from tests.graphs import hard
from tests.integration.cluster.at_rest import wait_at_rest

pytestmark = pytest.mark.integration
Config = Callable[..., Any]

YES = {"approved": True}
STEPS = ["first", "wait", "last"]


def at_once(call: Callable[[int], Any], count: int = 50) -> list[Any]:
    """What each call returned or raised; all start together."""
    outcomes: list[Any] = [None] * count
    start = threading.Barrier(count)

    def one(number: int) -> None:
        start.wait()
        try:
            outcomes[number] = call(number)
        except Exception as exc:
            outcomes[number] = exc

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def line(remote: Any, where: Any) -> list[Any]:
    """The thread's checkpoints, oldest first, each of which was made from the one before it."""
    history = list(remote.get_state_history(where))[::-1]
    ids = [snapshot.config["configurable"]["checkpoint_id"] for snapshot in history]
    parents = [
        snapshot.parent_config and snapshot.parent_config["configurable"]["checkpoint_id"] for snapshot in history
    ]
    assert parents == [None, *ids[:-1]]
    return history


@pytest.mark.parametrize("strategy", get_args(MultitaskStrategy))
def test_fifty_invocations(cluster: EmbeddedCluster, config: Config, gate: Path, strategy: MultitaskStrategy) -> None:
    remote, where = cluster.bind(hard.gate), config()
    gate.touch()
    given = {"file": str(gate)}
    outcomes = at_once(lambda _: remote.invoke(given, where, multitask_strategy=strategy))
    kinds = Counter(type(outcome) for outcome in outcomes)
    done = [outcome["steps"] for outcome in outcomes if isinstance(outcome, dict)]
    steps = remote.get_state(where).values["steps"]
    others = {"reject": ThreadBusyError, "enqueue": dict}.get(strategy, RunCancelledError)
    assert set(kinds) <= {dict, others}, kinds
    assert len(done) >= 1
    line(remote, where)
    if strategy == "enqueue":
        assert sorted(map(len, done)) == list(range(3, 153, 3))
    if strategy == "interrupt":
        # What the others had done stays: whoever came after them went on from there.
        assert max(done, key=len) == steps
        assert steps.count("first") >= steps.count("wait") >= steps.count("last") == len(done)
    else:
        assert steps == STEPS * len(done)
    wait_at_rest(cluster)


def test_the_run_in_line_starts_when_the_thread_is_free(cluster: EmbeddedCluster, config: Config, gate: Path) -> None:
    remote, where = cluster.bind(hard.gate), config()
    first = remote.submit({"file": str(gate)}, where)
    second, third, fourth = (remote.submit({"file": str(gate)}, where, multitask_strategy="enqueue") for _ in range(3))
    assert [run.status() for run in (second, third, fourth)] == ["queued"] * 3
    assert third.cancel()
    gate.touch()
    assert fourth.result(20)["steps"] == STEPS * 3
    assert [run.status() for run in (first, second, third, fourth)] == ["done", "done", "cancelled", "done"]
    wait_at_rest(cluster)


def test_a_rollback_leaves_no_trace_of_the_other_run(
    cluster: EmbeddedCluster, config: Config, gate: Path, tmp_path: Path
) -> None:
    remote, where = cluster.bind(hard.gate), config()
    gate.touch()
    remote.invoke({"file": str(gate)}, where)
    before = line(remote, where)
    shut = remote.submit({"file": str(tmp_path / "never")}, where)
    newcomer = remote.submit({"file": str(gate)}, where, multitask_strategy="rollback")
    assert newcomer.result(20)["steps"] == STEPS * 2
    assert shut.status() == "cancelled"
    (tmp_path / "never").touch()
    after = line(remote, where)
    assert after[: len(before)] == before
    assert len(after) == 2 * len(before)
    wait_at_rest(cluster)


def test_fifty_answers_to_one_question(cluster: EmbeddedCluster, config: Config) -> None:
    """One is taken; everybody else is told that it was answered already. By handle, and by invoke."""
    remote, where = cluster.bind(human_review.graph), config()
    run = remote.submit({"topic": "rain"}, where)
    run.result(20)

    def answer(number: int) -> Any:
        if number % 2:
            return remote.invoke(Command(resume=YES), where)
        return cluster.run(run.run_id).resume(YES).result(20)

    outcomes = at_once(answer)
    taken = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    assert [outcome["published"] for outcome in taken] == ["About rain"]
    refused = [outcome for outcome in outcomes if outcome not in taken]
    assert Counter(map(type, refused)) == {AlreadyResumedError: 49}
    wait_at_rest(cluster)


class TestTwoWorlds:
    """A thread that a graph in this process and runs of the cluster both use."""

    @pytest.fixture
    def here(self, cluster: EmbeddedCluster) -> Any:
        assert cluster.ledger.url is not None
        with RedisSaver.from_conn_string(cluster.ledger.url, namespace=cluster.namespace) as saver:
            yield human_review.build().compile(checkpointer=saver)

    def test_what_was_asked_here_is_answered_there(self, cluster: EmbeddedCluster, config: Config, here: Any) -> None:
        remote, where = cluster.bind(human_review.graph), config()
        here.invoke({"topic": "rain"}, where)
        asked = remote.invoke(Command(resume={"approved": False, "comment": "mention snow"}), where)
        assert asked["__interrupt__"][0].value["text"] == "About rain (mention snow)"
        again = here.invoke(Command(resume={"approved": False, "comment": "and hail"}), where)
        assert again["__interrupt__"][0].value["text"] == "About rain (mention snow; and hail)"
        assert remote.invoke(Command(resume=YES), where)["published"] == "About rain (mention snow; and hail)"
        line(remote, where)

    def test_fifty_answers_there_to_what_was_asked_here(
        self, cluster: EmbeddedCluster, config: Config, here: Any
    ) -> None:
        remote, where = cluster.bind(human_review.graph), config()
        here.invoke({"topic": "rain"}, where)
        outcomes = at_once(lambda _: remote.invoke(Command(resume=YES), where))
        taken = [outcome for outcome in outcomes if isinstance(outcome, dict)]
        assert [outcome["published"] for outcome in taken] == ["About rain"]
        refused = [outcome for outcome in outcomes if outcome not in taken]
        assert all(isinstance(outcome, AlreadyResumedError) for outcome in refused), refused

    def test_what_was_asked_there_and_answered_here_is_not_answered_again(
        self, cluster: EmbeddedCluster, config: Config, here: Any
    ) -> None:
        remote, where = cluster.bind(human_review.graph), config()
        run = remote.submit({"topic": "rain"}, where)
        run.result(20)
        assert here.invoke(Command(resume=YES), where)["published"] == "About rain"
        with pytest.raises(AlreadyResumedError):
            run.resume(YES)
