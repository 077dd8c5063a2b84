"""Intended differences to the peer (ops/docs/differences.md) that no test elsewhere shows."""

from __future__ import annotations

import asyncio
import warnings
from typing import Annotated, Any, TypedDict

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.func import entrypoint
from tests.differential.harness import OURS, PEER, Api, outcome

pytestmark = pytest.mark.differential

ON: Any = {"configurable": {"thread_id": "1"}}


class State(TypedDict):
    n: int


def test_a_builder_with_a_default_error_handler_is_compiled_twice() -> None:
    def twice(api: Api) -> Any:
        builder = api.StateGraph(State).add_node("a", lambda state: None).add_edge(api.START, "a")
        builder.set_node_defaults(error_handler=lambda state: {"n": -1})
        builder.compile()
        return outcome(lambda: builder.compile().invoke({"n": 1}))

    assert twice(OURS) == {"n": 1}
    assert twice(PEER) != {"n": 1}


def test_a_retry_resumes_a_nested_graph() -> None:
    def retried(api: Api) -> Any:
        ran: list[str] = []

        def first(state: State) -> Any:
            ran.append("first")
            return {"n": state["n"] + 1}

        def second(state: State) -> Any:
            ran.append("second")
            if ran.count("second") == 1:
                raise ConnectionError
            return {"n": state["n"] * 10}

        inner = api.StateGraph(State).add_sequence([("first", first), ("second", second)])
        graph = inner.add_edge(api.START, "first").compile()
        policy = api.RetryPolicy(initial_interval=0, jitter=False)
        outer = api.StateGraph(State).add_node("inner", graph, retry_policy=policy).add_edge(api.START, "inner")
        return outer.compile(checkpointer=api.InMemorySaver()).invoke({"n": 1}, ON), ran

    assert retried(OURS) == ({"n": 20}, ["first", "second", "second"])
    assert retried(PEER) == ({"n": 20}, ["first", "second", "first", "second"])


def test_a_way_to_nowhere_is_an_error() -> None:
    def lost(api: Api) -> Any:
        builder = api.StateGraph(State).add_node("a", lambda state: api.Command(goto="b")).add_edge(api.START, "a")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return outcome(lambda: builder.compile().invoke({"n": 1}))

    assert repr(lost(OURS)).startswith("Raised(") and "RoutingError" in repr(lost(OURS))
    assert lost(PEER) == {"n": 1}


def stalling(api: Api, **options: Any) -> Any:
    """Its join waits for b, which the way of odd numbers leaves out."""
    builder = api.StateGraph(State)
    builder.add_node("a", lambda state: None).add_node("b", lambda state: None)
    builder.add_node("c", lambda state: {"n": state["n"] + 100})
    builder.add_conditional_edges(api.START, lambda state: ["a"] if state["n"] % 2 else ["a", "b"], ["a", "b"])
    return builder.add_edge(["a", "b"], "c", **options).compile(checkpointer=api.InMemorySaver())


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_a_join_that_can_no_longer_fire_is_an_error(way: str) -> None:
    """Which keeps the state; ``optional=True`` is the peer's way."""

    def seen(api: Api, **options: Any) -> Any:
        graph = stalling(api, **options)

        def call(given: Any) -> Any:
            if way == "ainvoke":
                return outcome(lambda: asyncio.run(graph.ainvoke(given, ON)))
            return outcome(lambda: graph.invoke(given, ON))

        return call({"n": 1}), graph.get_state(ON).values, graph.get_state(ON).next, call({"n": 2})

    assert seen(PEER) == seen(OURS, optional=True) == ({"n": 1}, {"n": 1}, (), {"n": 102})
    stalled, values, following, after = seen(OURS)
    assert "JoinStalledError" in repr(stalled)
    assert (values, following, after) == ({"n": 1}, (), {"n": 102})


def test_a_new_input_begins_with_the_join_empty() -> None:
    """On the peer one node alone completes what an earlier run left half done."""

    def seen(api: Api, **options: Any) -> Any:
        builder = api.StateGraph(State)
        builder.add_node("a", lambda state: None).add_node("b", lambda state: None)
        builder.add_node("c", lambda state: {"n": state["n"] + 100})
        builder.add_conditional_edges(api.START, lambda state: "ab"[state["n"] % 2], ["a", "b"])
        graph = builder.add_edge(["a", "b"], "c", **options).compile(checkpointer=api.InMemorySaver())
        return [outcome(lambda n=n: graph.invoke({"n": n}, ON)) for n in (0, 1)]  # type: ignore[misc]

    assert seen(PEER) == seen(OURS, optional=True) == [{"n": 0}, {"n": 101}]
    assert ["JoinStalledError" in repr(each) for each in seen(OURS)] == [True, True]


def test_a_workflow_is_named_like_its_function() -> None:
    @entrypoint(checkpointer=InMemorySaver())
    def flow(value: int) -> int:
        return value

    assert flow.name == "flow"


def test_a_handler_that_has_finished_does_not_run_again() -> None:
    def resumed(api: Api) -> Any:
        ran: list[str] = []

        def fails(state: State) -> Any:
            raise ValueError

        def handles(state: State) -> None:
            ran.append("handles")

        def later(state: State) -> Any:
            ran.append("later")
            if ran.count("later") == 1:
                raise KeyError

        builder = api.StateGraph(State).add_node("a", fails, error_handler=handles).add_node("z", later)
        graph = builder.add_edge(api.START, "a").add_edge(api.START, "z").compile(checkpointer=api.InMemorySaver())
        outcome(lambda: graph.invoke({"n": 1}, {**ON, "max_concurrency": 1}))
        graph.invoke(None, ON)
        return sorted(ran)

    assert resumed(OURS) == ["handles", "later", "later"]
    assert resumed(PEER) == ["handles", "handles", "later", "later"]


def test_an_answer_is_for_one_question() -> None:
    def asked(api: Api) -> Any:
        def asks(state: State) -> Any:
            return {"n": api.interrupt("first?") + api.interrupt("second?")}

        graph = api.StateGraph(State).add_node("asks", asks).add_edge(api.START, "asks")
        app = graph.compile(checkpointer=api.InMemorySaver())
        app.invoke({"n": 1}, ON)
        app.invoke(api.Command(resume=10), ON)
        again = app.invoke(None, ON)
        return again["n"], [each.value for each in again.get("__interrupt__", ())]

    assert asked(OURS) == (1, ["second?"])
    assert asked(PEER) == (20, [])


def test_commands_that_say_nothing_are_refused_by_name() -> None:
    def refused(api: Api, command: Any) -> str:
        app = api.StateGraph(State).add_node("a", lambda state: None).add_edge(api.START, "a").compile()
        return repr(outcome(lambda: app.invoke(command)))

    empty: list[Any] = [{}, {"goto": []}, {"resume": None}]
    for given in empty:
        assert "EmptyInputError" in refused(OURS, OURS.Command(**given))
    assert "UnboundLocalError" in refused(PEER, PEER.Command())
    assert "UnboundLocalError" in refused(PEER, PEER.Command(resume=None))


def test_a_tuple_of_modes_is_a_list_of_modes() -> None:
    def chunks(api: Api) -> Any:
        app = api.StateGraph(State).add_node("a", lambda state: {"n": 2}).add_edge(api.START, "a").compile()
        return list(app.stream({"n": 1}, stream_mode=("updates", "values")))

    assert chunks(OURS) == [("values", {"n": 1}), ("updates", {"a": {"n": 2}}), ("values", {"n": 2})]
    assert chunks(PEER) == [{"n": 1}, {"a": {"n": 2}}, {"n": 2}]


def test_durability_without_a_saver_does_no_harm() -> None:
    def run(api: Api) -> Any:
        app = api.StateGraph(State).add_node("a", lambda state: {"n": 2}).add_edge(api.START, "a").compile()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return outcome(lambda: app.invoke({"n": 1}, durability="sync"))

    assert run(OURS) == {"n": 2}
    assert "AttributeError" in repr(run(PEER))


def test_modes_and_one_task_at_a_time() -> None:
    """On the peer a custom stream with ``max_concurrency=1`` never ends; that is not tried here."""
    builder = OURS.StateGraph(State).add_node("a", lambda state: OURS.module("config").get_stream_writer()("said"))
    app = builder.add_edge(OURS.START, "a").compile()
    assert list(app.stream({"n": 1}, {"max_concurrency": 1}, stream_mode="custom")) == ["said"]


def test_an_overwrite_is_no_value() -> None:
    """Though the type of its key has no empty value, so that the first update becomes the value as it is."""

    class Shy:
        def __init__(self, needed: int) -> None: ...

    def later(left: Any, right: Any) -> Any:
        return right

    def first(api: Api) -> Any:
        make: Any = TypedDict
        state = make("state", {"x": Annotated[Shy, later]}, total=False)
        builder = api.StateGraph(state).add_node("a", lambda given: {"x": api.Overwrite(5)})
        return builder.add_edge(api.START, "a").compile().invoke({})

    assert first(OURS) == {"x": 5}
    assert first(PEER) == {"x": PEER.Overwrite(5)}
