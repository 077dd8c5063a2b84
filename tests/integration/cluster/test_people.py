"""Runs that wait for people: a pause holds no slot, an answer is taken once, and siblings do not run again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.cluster.handle import RunHandle
from distgraph.errors import UnknownInterruptError
from distgraph.examples import human_review, sums
from distgraph.types import Command, Placement
from tests.graphs import hard
from tests.integration.cluster.at_rest import wait_at_rest
from tests.waiting import wait_until

pytestmark = pytest.mark.integration
Config = Callable[..., Any]

NO, YES = {"approved": False, "comment": "mention snow"}, {"approved": True}
placements = pytest.mark.parametrize("placement", get_args(Placement))


@placements
def test_a_conversation_is_the_same_as_in_process(
    cluster: EmbeddedCluster, config: Config, placement: Placement
) -> None:
    remote = cluster.bind(human_review.graph, placement=placement)
    here = human_review.build().compile(checkpointer=InMemorySaver())
    where = config()
    turns: list[Any] = [{"topic": "rain"}, Command(resume=NO), Command(resume=YES)]
    for given in turns:
        assert _plain(remote.invoke(given, where)) == _plain(here.invoke(given, where))
        assert remote.get_state(where).next == here.get_state(where).next
    wait_at_rest(cluster)


@placements
@pytest.mark.parametrize("mode", ["values", "updates"])
def test_the_stream_of_a_conversation(
    cluster: EmbeddedCluster, config: Config, placement: Placement, mode: Any
) -> None:
    """It ends with the question; after the answer it tells what happens from there, not all over again."""
    remote = cluster.bind(human_review.graph, placement=placement)
    here = human_review.build().compile(checkpointer=InMemorySaver())
    where = config()
    turns: list[Any] = [{"topic": "rain"}, Command(resume=NO), Command(resume=YES)]
    for given in turns:
        ours = list(remote.stream(given, where, stream_mode=mode))
        assert _plain(ours) == _plain(list(here.stream(given, where, stream_mode=mode)))


def test_by_handle(cluster: EmbeddedCluster) -> None:
    run = cluster.bind("human_review").submit({"topic": "rain"})
    asked = run.result(20)
    assert asked["text"] == "About rain"
    assert asked["__interrupt__"][0].value == {"question": "Publish this?", "text": "About rain"}
    assert run.status() == "interrupted"
    assert [question.value for question in run.interrupts()] == [{"question": "Publish this?", "text": "About rain"}]
    assert run.resume(NO).result(20)["text"] == "About rain (mention snow)"
    assert run.resume(YES).result(20)["published"] == "About rain (mention snow)"
    assert run.status() == "done"
    with pytest.raises(UnknownInterruptError):
        run.resume(YES)


def test_two_people_answer_at_once(cluster: EmbeddedCluster) -> None:
    """One answer is taken; everybody else is told that there is nothing to answer any more."""
    for _ in range(5):
        run = cluster.bind("human_review").submit({"topic": "rain"})
        run.result(20)
        outcomes = _at_once([partial(_approve, cluster, run.run_id)] * 8)
        taken = [outcome for outcome in outcomes if isinstance(outcome, RunHandle)]
        refused = [outcome for outcome in outcomes if isinstance(outcome, UnknownInterruptError)]
        assert (len(taken), len(refused)) == (1, 7), outcomes
        assert run.result(20)["published"] == "About rain"


def test_an_answer_to_the_question_before(cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looked at the first question and answers when the second one waits is refused: it was another text."""
    run = cluster.bind("human_review").submit({"topic": "rain"})
    run.result(20)
    slow = cluster.run(run.run_id)
    look = slow._outcomes

    def look_then_think() -> Any:
        seen = look()
        run.resume(NO).result(20)
        return seen

    monkeypatch.setattr(slow, "_outcomes", look_then_think)
    with pytest.raises(UnknownInterruptError):
        slow.resume(YES)
    assert run.status() == "interrupted"
    assert "published" not in run.result(20)
    assert run.resume(YES).result(20)["published"] == "About rain (mention snow)"


class TestSeveralQuestions:
    @placements
    def test_one_by_one(self, cluster: EmbeddedCluster, tmp_path: Path, placement: Placement) -> None:
        """Each answer goes to who asked; the node that asked nothing ran once."""
        log = tmp_path / "log"
        run = cluster.bind(hard.polls, placement=placement).submit({"log": str(log)})
        run.result(20)
        questions = {question.value: question.id for question in run.interrupts()}
        assert set(questions) == {"left?", "right?"}
        with pytest.raises(RuntimeError, match="multiple pending interrupts"):
            run.resume("both")
        still = run.resume({questions["left?"]: "yes"}).result(20)
        assert [question.value for question in still["__interrupt__"]] == ["right?"]
        done = run.resume("no").result(20)
        assert done["answers"] == ["left yes", "middle", "right no"]
        assert log.read_text() == "middle\n"
        wait_at_rest(cluster)

    def test_all_in_one(self, cluster: EmbeddedCluster) -> None:
        run = cluster.bind(hard.polls).submit({})
        run.result(20)
        answers = {question.id: f"yes, {question.value}" for question in run.interrupts()}
        assert run.resume(answers).result(20)["answers"] == ["left yes, left?", "middle", "right yes, right?"]

    def test_an_answer_to_nobody(self, cluster: EmbeddedCluster) -> None:
        run = cluster.bind(hard.polls).submit({})
        run.result(20)
        with pytest.raises(UnknownInterruptError, match="Waiting"):
            run.resume({"0" * 32: "yes"})
        assert run.status() == "interrupted"


@placements
def test_breakpoints(cluster: EmbeddedCluster, config: Config, placement: Placement) -> None:
    remote = cluster.bind(sums.graph, placement=placement)
    here = sums.build().compile(checkpointer=InMemorySaver())
    where, item = config(), sums.items(1, rounds=2)[0]
    given: Any = item
    for _ in range(2):
        for stop in ("open", "close"):
            ours = remote.invoke(given, where, interrupt_before=["close"], interrupt_after=["open"])
            theirs = here.invoke(given, where, interrupt_before=["close"], interrupt_after=["open"])
            assert ours == theirs, stop
            assert remote.get_state(where).next == here.get_state(where).next
            given = None
    assert remote.invoke(None, where) == here.invoke(None, where) == sums.expected(item)


def test_a_waiting_run_holds_no_slot_and_can_be_cancelled(cluster: EmbeddedCluster) -> None:
    runs = [cluster.bind("human_review").submit({"topic": str(index)}) for index in range(10)]
    for run in runs:
        run.result(20)
    wait_until(lambda: all(worker.busy == 0 for worker in cluster.workers()))
    wait_at_rest(cluster)
    assert all(run.cancel() for run in runs)
    assert {run.status() for run in runs} == {"cancelled"}
    with pytest.raises(UnknownInterruptError):
        runs[0].resume(YES)


def _approve(cluster: EmbeddedCluster, run_id: str) -> RunHandle:
    return cluster.run(run_id).resume(YES)


def _at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """What each call returned or raised; all start together."""
    outcomes: list[Any] = []
    start = threading.Barrier(len(calls))

    def one(call: Callable[[], Any]) -> None:
        start.wait()
        try:
            outcomes.append(call())
        except Exception as exc:
            outcomes.append(exc)

    threads = [threading.Thread(target=one, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def _plain(result: Any) -> Any:
    """Interrupts by what they ask: their ids differ between runs."""
    if isinstance(result, dict):
        return {key: _plain(value) for key, value in result.items()}
    if isinstance(result, list | tuple):
        return [_plain(value) for value in result]
    return getattr(result, "value", result)


@placements
def test_items_of_a_batch_ask_and_are_answered(cluster: EmbeddedCluster, placement: Placement) -> None:
    """Whoever waits for the batch comes back when nothing happens by itself any more, and sees who asks what."""
    remote = cluster.bind(human_review.graph, placement=placement)
    batch = remote.submit_batch([{"topic": f"topic {index}"} for index in range(5)], key="topic")
    status = batch.wait(30)
    assert (status.interrupted, status.running, status.done, status.finished) == (5, 0, 0, False)
    rows = list(batch.results())
    assert [(row.index, row.key, row.status) for row in rows] == [(i, f"topic {i}", "interrupted") for i in range(5)]
    assert rows[0].interrupts[0].value["question"] == "Publish this?"
    cluster.run(rows[0].run_id).resume(YES)
    asking = {run.run_id: run for run in batch.interrupted() if run.run_id != rows[0].run_id}
    assert asking.keys() == {row.run_id for row in rows[1:]}
    assert asking.keys() <= {run.run_id for run in cluster.interrupted()}
    asking[rows[1].run_id].cancel()
    for row in rows[2:]:
        asking[row.run_id].resume(YES)
    status = batch.wait(30)
    assert (status.done, status.cancelled, status.interrupted, status.finished) == (4, 1, 0, True)
    published = {row.key: row.value["published"] for row in batch.results() if row.status == "done"}
    assert published == {f"topic {i}": f"About topic {i}" for i in (0, 2, 3, 4)}
    assert list(batch.interrupted()) == []
    batch.delete()
    wait_at_rest(cluster)


def test_a_batch_whose_items_ask_can_be_cancelled_and_deleted(cluster: EmbeddedCluster) -> None:
    batch = cluster.bind("human_review").submit_batch({"topic": str(index)} for index in range(3))
    assert batch.wait(30).interrupted == 3
    batch.cancel()
    status = batch.wait(10)
    assert (status.interrupted, status.cancelled, status.finished) == (0, 3, True)
    assert {row.status for row in batch.results()} == {"cancelled"}
    batch.delete()
    assert batch.batch_id not in {other.batch_id for other in cluster.batches()}
    wait_at_rest(cluster)
