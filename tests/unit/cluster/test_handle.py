"""A run's handle: status, result, questions, steering."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from distgraph import START, StateGraph
from distgraph.cluster.handle import answers_for
from distgraph.config import RunnableConfig
from distgraph.constants import INTERRUPT, RESUME
from distgraph.errors import (
    InvalidAnswerError,
    RunCancelledError,
    RunNotFoundError,
    UnknownInterruptError,
    WaitTimeoutError,
    is_invalid_resume,
)
from distgraph.types import Command, Interrupt, Placement, RetryPolicy, interrupt
from tests.unit.cluster.small import Counted, State, ask, chain, cluster_of, fan

pytestmark = pytest.mark.unit


def bad(_: Any) -> None:
    raise LookupError("no such thing")


def test_waiting_makes_the_cluster_work() -> None:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})
    assert run.status() == "queued"
    assert run.result() == {"x": 1, "trail": ["a"]}
    assert run.status() == "done"


def test_a_run_without_a_log_is_waited_for_too() -> None:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    assert cluster.submit(graph, {"x": 1}, log=False).result()["trail"] == ["a"]


def test_a_wait_that_is_over_leaves_the_run_going() -> None:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})
    with pytest.raises(WaitTimeoutError, match="it goes on"):
        run.result(0)
    assert run.result()["trail"] == ["a"]


def test_an_error_of_the_users_own_comes_back_as_itself() -> None:
    graph = chain(Counted("a", bad))
    cluster = cluster_of(graph)
    with pytest.raises(LookupError, match="no such thing") as caught:
        cluster.submit(graph, {"x": 1}).result()
    assert any("On the worker" in note and "def bad" not in note for note in caught.value.__notes__)


def test_a_cancelled_run_is_an_error_and_cancelling_twice_is_none() -> None:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})
    assert run.cancel()
    assert not run.cancel()
    with pytest.raises(RunCancelledError):
        run.result()


def test_what_is_done_cannot_be_cancelled() -> None:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})
    run.result()
    assert not run.cancel()
    assert run.status() == "done"


def test_an_unknown_run() -> None:
    cluster = cluster_of(chain(Counted("a")))
    with pytest.raises(RunNotFoundError, match="no run 'nobody'"):
        cluster.run("nobody")


def test_the_events_of_a_run_can_be_read_from_its_start() -> None:
    graph = chain(Counted("a"), Counted("b"))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})
    assert list(run.stream()) == [{"a": {"trail": ["a"]}}, {"b": {"trail": ["b"]}}]
    assert list(run.stream()) == list(graph.stream({"x": 1}, stream_mode="updates"))
    assert [mode for mode, _ in run.stream(["updates", "values"])].count("values") == 3


def test_events_of_a_failed_run_end_with_its_error() -> None:
    graph = chain(Counted("a"), Counted("b", bad))
    cluster = cluster_of(graph)
    stream = cluster.submit(graph, {"x": 1}).stream()
    assert next(stream) == {"a": {"trail": ["a"]}}
    with pytest.raises(LookupError):
        next(stream)


class TestResuming:
    def test_the_output_of_an_interrupted_run_has_its_questions(self) -> None:
        graph = chain(Counted("before"), Counted("asks", ask("sure?")))
        cluster = cluster_of(graph)
        output = cluster.submit(graph, {"x": 1}).result()
        assert output["trail"] == ["before"]
        assert [question.value for question in output[INTERRUPT]] == ["sure?"]

    def test_what_is_not_asked_is_not_answered(self) -> None:
        graph = chain(Counted("a"))
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1})
        run.result()
        with pytest.raises(UnknownInterruptError, match="asks nothing"):
            run.resume("yes")

    def test_an_answer_to_a_question_that_was_answered_meanwhile_is_refused(self) -> None:
        graph = chain(Counted("asks", ask("sure?")))
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1})
        (question,) = run.result()[INTERRUPT]
        run.resume({question.id: "yes"})
        with pytest.raises(UnknownInterruptError):
            run.resume({question.id: "no"})
        assert run.result()["trail"] == ["asks:yes"]

    def test_one_answer_for_several_questions_is_refused(self) -> None:
        graph = fan(Counted("a", ask("a?")), Counted("b", ask("b?")))
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1})
        run.result()
        with pytest.raises(RuntimeError, match="you must specify the interrupt id"):
            run.resume("yes")

    def test_a_breakpoint_is_gone_on_from_with_nothing(self) -> None:
        graph = chain(Counted("a"), Counted("b"))
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1}, interrupt_before=["b"])
        assert run.result()["trail"] == ["a"]
        assert run.status() == "interrupted"
        assert run.resume(None).result()["trail"] == ["a", "b"]


def test_answers_given_before_come_with_the_new_one() -> None:
    """A node that asks twice replays its first answer."""
    question = Interrupt(value="second?", id="q2")
    pending: dict[str, list[tuple[str, Any]]] = {"task": [(RESUME, ["first"]), (INTERRUPT, (question,))]}
    assert answers_for(pending, "second") == {"task": {"before": ["first"], "given": {"q2": "second"}}}


class Amount(BaseModel):
    euros: int


def asks_twice(state: Any) -> str:
    who = interrupt("who?")
    amount = interrupt("how much?", response_schema=Amount)
    return f"{who} {amount.euros} {interrupt('sure?')}"


class TestAnswersThatDoNotFit:
    """The peer raises where the answer is given, and the question still waits. Here the node says so on a worker."""

    @pytest.mark.parametrize("placement", ["auto", "spread"])
    def test_the_question_still_waits_and_the_answers_before_it_stand(self, placement: Placement) -> None:
        graph = fan(Counted("asks", asks_twice), Counted("beside"))
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1}, placement=placement)
        run.result()
        run.resume("me").result()
        asked = run.interrupts()
        run.resume({"euros": "many"})
        for _ in range(2):
            with pytest.raises(InvalidAnswerError, match=r"(?s)question still waits.*valid integer") as refused:
                run.result()
        assert is_invalid_resume(refused.value)
        assert (run.status(), run.interrupts(), refused.value.interrupt_id) == ("interrupted", asked, asked[0].id)
        output = run.resume({asked[0].id: {"euros": 5}}).result()
        assert [question.value for question in output[INTERRUPT]] == ["sure?"]
        assert run.resume("yes").result()["trail"] == ["asks:me 5 yes", "beside", "join"]

    def test_whoever_answers_by_thread_hears_of_it_too(self) -> None:
        graph = chain(Counted("asks", lambda state: interrupt("how much?", response_schema=Amount).euros))
        cluster, config = cluster_of(graph), RunnableConfig(configurable={"thread_id": "t"})
        remote = cluster.bind(graph)
        remote.invoke({"x": 1}, config)
        for call in (remote.invoke, lambda *args: list(remote.stream(*args))):
            with pytest.raises(InvalidAnswerError):
                call(Command(resume="many"), config)
            (run,) = cluster.runs()
            assert [question.value for question in run.interrupts()] == ["how much?"]
        assert remote.invoke(Command(resume={"euros": 5}), config)["trail"] == ["asks:5"]

    def test_in_a_nested_graph(self) -> None:
        inner = chain(Counted("asks", asks_twice), name="inner")
        graph = StateGraph(State).add_node("inner", inner).add_edge(START, "inner").compile(name="outer")
        run = cluster_of(graph).submit(graph, {"x": 1})
        run.result()
        run.resume("me").result()
        asked = run.interrupts()
        with pytest.raises(InvalidAnswerError):
            run.resume({"euros": "many"}).result()
        assert run.interrupts() == asked
        run.resume({"euros": 5}).result()
        assert run.resume("yes").result()["trail"] == ["asks:me 5 yes"]

    def test_neither_retried_nor_handled(self) -> None:
        """The node has not failed."""
        node = Counted("asks", lambda state: interrupt("how much?", response_schema=Amount).euros)
        builder = StateGraph(State).add_edge(START, "asks")
        policy = RetryPolicy(initial_interval=0, retry_on=Exception)
        builder.add_node("asks", node, retry_policy=policy, error_handler=Counted("handler"))
        graph = builder.compile(name="policies")
        run = cluster_of(graph).submit(graph, {"x": 1})
        run.result()
        with pytest.raises(InvalidAnswerError):
            run.resume("many").result()
        assert node.calls == 2
        assert run.resume({"euros": 5}).result()["trail"] == ["asks:5"]

    def test_an_item_of_a_batch(self) -> None:
        graph = chain(Counted("asks", lambda state: interrupt("how much?", response_schema=Amount).euros))
        cluster = cluster_of(graph)
        batch = cluster.submit_batch(graph, [{"x": 1}], batch_id="b")
        cluster.run_until_idle()
        run = cluster.run("b:0")
        run.resume("many")
        cluster.run_until_idle()
        with pytest.raises(InvalidAnswerError):
            run.result(0)
        run.resume({"euros": 5})
        cluster.run_until_idle()
        assert [row.value["trail"] for row in batch.results()] == [["asks:5"]]


class TestAnItemThatDoesNotWait:
    @pytest.mark.parametrize("answer", ["yes", None, Command(resume="yes")], ids=["answer", "nothing", "command"])
    @pytest.mark.parametrize("placement", ["auto", "spread"])
    def test_one_that_is_done(self, placement: Placement, answer: Any) -> None:
        graph = chain(Counted("a"))
        cluster = cluster_of(graph)
        cluster.submit_batch(graph, [{"x": 1}], batch_id="b", placement=placement)
        cluster.run_until_idle()
        with pytest.raises(UnknownInterruptError, match="'b:0' does not wait for an answer: it is done"):
            cluster.run("b:0").resume(answer)

    def test_one_that_was_answered(self) -> None:
        graph = chain(Counted("a", ask("sure?")))
        cluster = cluster_of(graph)
        cluster.submit_batch(graph, [{"x": 1}], batch_id="b")
        cluster.run_until_idle()
        run = cluster.run("b:0")
        run.resume("yes")
        cluster.run_until_idle()
        with pytest.raises(UnknownInterruptError, match="does not wait for an answer: it is done"):
            run.resume("no")

    def test_one_that_has_failed(self) -> None:
        graph = chain(Counted("a", bad))
        cluster = cluster_of(graph)
        cluster.submit_batch(graph, [{"x": 1}], batch_id="b")
        cluster.run_until_idle()
        for call in (cluster.run("b:0").resume, lambda _: cluster.run("b:0").retry()):
            with pytest.raises(
                UnknownInterruptError, match=r"it is failed. cluster.batch\('b'\).retry_item\(0\) runs it"
            ):
                call("yes")

    def test_one_that_nobody_has_taken(self) -> None:
        graph = chain(Counted("a"))
        cluster = cluster_of(graph)
        cluster.submit_batch(graph, [{"x": 1}], batch_id="b")
        with pytest.raises(UnknownInterruptError, match="it is queued"):
            cluster.run("b:0").resume("yes")

    def test_one_that_is_not_there(self) -> None:
        graph = chain(Counted("a"))
        cluster = cluster_of(graph)
        cluster.submit_batch(graph, [{"x": 1}], batch_id="b")
        with pytest.raises(RunNotFoundError, match="no run 'b:1'"):
            cluster.run("b:1").resume("yes")
