"""What callback handlers of LangChain are told of graphs and nodes."""

from __future__ import annotations

import asyncio
from operator import add
from typing import Annotated, Any, TypedDict
from uuid import UUID

import pytest
from langchain_core.callbacks import BaseCallbackHandler, dispatch_custom_event
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tracers import BaseTracer, Run

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.errors import GraphRecursionError
from distgraph.func import entrypoint, task
from distgraph.graph import START, StateGraph
from distgraph.types import Command, RetryPolicy, interrupt

pytestmark = pytest.mark.unit

THREAD: Any = {"configurable": {"thread_id": "1"}}


class State(TypedDict, total=False):
    log: Annotated[list[Any], add]


class Tracer(BaseTracer):
    """Keeps the root runs that have ended, with the runs inside of them."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Run] = []

    def _persist_run(self, run: Run) -> None:
        self.runs.append(run)


def tree(run: Run) -> Any:
    return run.name, run.inputs, run.outputs, [tree(child) for child in run.child_runs]


def graph(saver: Any = None, **nodes: Any) -> Any:
    """Nodes one after the other."""
    builder, last = StateGraph(State), START
    for name, action in nodes.items():
        builder.add_node(name, action).add_edge(last, name)
        last = name
    return builder.compile(checkpointer=saver)


def logs(what: Any) -> Any:
    return lambda state: {"log": [what]}


def ran(graph: Any, given: Any, config: Any, colour: str) -> Any:
    return graph.invoke(given, config) if colour == "sync" else asyncio.run(graph.ainvoke(given, config))


COLOURS = pytest.mark.parametrize("colour", ["sync", "aio"])


@COLOURS
def test_a_graph_is_a_run_and_so_is_each_node_inside_of_it(colour: str) -> None:
    tracer = Tracer()
    made = graph(a=logs("a"), b=logs("b"))
    run_id = UUID(int=7)
    ran(made, {"log": [0]}, {"callbacks": [tracer], "run_id": run_id, "tags": ["t"], "metadata": {"m": 1}}, colour)
    (root,) = tracer.runs
    assert tree(root) == (
        "LangGraph",
        {"log": [0]},
        {"log": [0, "a", "b"]},
        [("a", {"log": [0]}, {"log": ["a"]}, []), ("b", {"log": [0, "a"]}, {"log": ["b"]}, [])],
    )
    assert (root.id, root.tags) == (run_id, ["t"])
    first = root.child_runs[0]
    assert sorted(first.tags or ()) == ["graph:step:1", "t"]
    assert (first.metadata["m"], first.metadata["langgraph_node"], first.metadata["langgraph_step"]) == (1, "a", 1)


@COLOURS
def test_what_a_node_calls_is_inside_of_its_run(colour: str) -> None:
    """Nested graphs, and runnables that get no config, or the node's."""
    tracer, inner = Tracer(), graph(i=logs("i"))
    runnable = RunnableLambda(logs("r"))

    def both(state: State, config: RunnableConfig) -> Any:
        return runnable.invoke(runnable.invoke(state), config)

    ran(graph(nested=inner, calls=lambda state: inner.invoke({}), both=both), {}, {"callbacks": [tracer]}, colour)
    (root,) = tracer.runs
    nested, calls, both_run = root.child_runs
    for run in (nested, calls):
        assert [(each.name, [node.name for node in each.child_runs]) for each in run.child_runs] == [
            ("LangGraph", ["i"])
        ]
    assert [each.name for each in both_run.child_runs] == ["RunnableLambda"] * 2


def test_a_graph_inside_of_a_runnable_belongs_to_its_run() -> None:
    """It has its thread from there, too, where the function gives it no config."""
    tracer, inner = Tracer(), graph(InMemorySaver(), i=logs("i"))
    for given in (True, False):
        call: Any = (lambda x, config: inner.invoke({}, config)) if given else (lambda x: inner.invoke({}))
        around: Any = RunnableLambda(call)
        around.invoke({}, {"callbacks": [tracer], **THREAD})
    for root in tracer.runs:
        assert [(each.name, len(each.child_runs)) for each in root.child_runs] == [("LangGraph", 1)]
    assert inner.get_state(THREAD).values == {"log": ["i", "i"]}


@COLOURS
def test_tasks_are_inside_of_the_run_that_calls_them(colour: str) -> None:
    tracer = Tracer()

    @task
    def double(value: int, by: int = 2) -> int:
        return value * by

    @entrypoint()
    def flow(value: int) -> int:
        results: list[int] = [double(value).result(), double(value, by=3).result()]
        return sum(results)

    assert ran(flow, 1, {"callbacks": [tracer]}, colour) == 5
    (run,) = tracer.runs[0].child_runs
    assert [tree(each)[:3] for each in run.child_runs] == [
        ("double", {"value": 1}, {"output": 2}),
        ("double", {"value": 1, "by": 3}, {"output": 3}),
    ]


@COLOURS
def test_attempts_that_fail_are_runs_that_end_with_the_failure(colour: str) -> None:
    tracer, attempts = Tracer(), [ConnectionError("once")]

    def node(state: State) -> State:
        if attempts:
            raise attempts.pop()
        return {"log": [1]}

    builder = StateGraph(State).add_node("n", node, retry_policy=RetryPolicy(initial_interval=0.001, jitter=False))
    ran(builder.add_edge(START, "n").compile(), {}, {"callbacks": [tracer]}, colour)
    failed, done = tracer.runs[0].child_runs
    assert "once" in (failed.error or "") and not failed.outputs
    assert (done.error, done.outputs, tracer.runs[0].error) == (None, {"log": [1]}, None)


@COLOURS
def test_a_run_that_fails_ends_with_the_failure(colour: str) -> None:
    tracer = Tracer()

    def node(state: State) -> State:
        raise KeyError("gone")

    with pytest.raises(KeyError):
        ran(graph(n=node), {}, {"callbacks": [tracer]}, colour)
    with pytest.raises(GraphRecursionError):
        ran(graph(a=logs(1), b=logs(2)), {}, {"callbacks": [tracer], "recursion_limit": 1}, colour)
    assert ["gone" in (run.error or "") for run in tracer.runs] == [True, False]
    assert "Recursion limit" in (tracer.runs[1].error or "")


@COLOURS
def test_a_run_that_asks_ends_without_a_failure(colour: str) -> None:
    tracer = Tracer()
    made = graph(InMemorySaver(), n=lambda state: {"log": [interrupt("?")]})
    config: Any = {**THREAD, "callbacks": [tracer]}
    ran(made, {"log": [0]}, config, colour)
    ran(made, Command(resume="!"), config, colour)
    assert [(run.error, run.outputs) for run in tracer.runs] == [(None, {"log": [0]}), (None, {"log": [0, "!"]})]


def test_events_that_nodes_dispatch_reach_the_handlers() -> None:
    class Listener(BaseCallbackHandler):
        def __init__(self) -> None:
            self.heard: list[Any] = []

        def on_custom_event(self, name: str, data: Any, **more: Any) -> None:
            self.heard.append((name, data))

    listener = Listener()
    graph(n=lambda state: dispatch_custom_event("news", 1)).invoke({}, {"callbacks": [listener]})
    assert listener.heard == [("news", 1)]


def test_a_manager_without_handlers_tells_nobody() -> None:
    from langchain_core.callbacks import CallbackManager

    assert graph(n=logs(1)).invoke({}, {"callbacks": CallbackManager([])}) == {"log": [1]}
