"""Programs about graphs within graphs."""

import operator
from typing import Annotated, Any, TypedDict

from tests.differential.harness import Api, outcome

ONE: Any = {"configurable": {"thread_id": "1"}}


class State(TypedDict, total=False):
    value: int
    log: Annotated[list[str], operator.add]


class Inner(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    inner: str


def step(name: str, **update: Any) -> Any:
    def node(state: Any) -> Any:
        return {"log": [name], **update}

    return node


def line(api: Api, schema: Any = State, **nodes: Any) -> Any:
    builder = api.StateGraph(schema)
    builder.add_sequence(list(nodes.items()))
    builder.add_edge(api.START, next(iter(nodes)))
    return builder


def graphs_as_nodes(api: Api) -> Any:
    inner = line(api, Inner, x=step("x"), y=step("y", inner="private")).compile()
    graph = line(api, a=step("a"), sub=inner, c=step("c")).compile()
    return (
        graph.invoke({"value": 1, "log": ["in"]}),
        list(graph.stream({"value": 1})),
        list(graph.stream({"value": 1}, subgraphs=True)),
        list(graph.stream({"value": 1}, subgraphs=True, stream_mode=["values", "updates"])),
        list(graph.stream({"value": 1}, subgraphs=True, stream_mode="tasks")),
        list(graph.stream({"value": 1}, subgraphs=True, version="v2")),
    )


def graphs_within_nodes(api: Api) -> Any:
    inner = line(api, Inner, x=step("x")).compile()

    def calling(state: State) -> Any:
        first = inner.invoke({"log": ["one"]})
        second = inner.invoke({"log": ["two"]})
        return {"log": first["log"] + second["log"]}

    def streaming(state: State) -> Any:
        return {"log": [str(chunk) for chunk in inner.stream({"log": []}, stream_mode="values")]}

    graph = line(api, calling=calling, streaming=streaming).compile()
    return graph.invoke({"value": 1}), list(graph.stream({"value": 1}, subgraphs=True))


def commands_to_the_parent(api: Api) -> Any:
    command = api.Command

    def leaving(state: Inner) -> Any:
        return command(graph=command.PARENT, update={"value": 7, "log": ["from inside"]}, goto="c")

    inner = line(api, Inner, x=step("x"), leaving=leaving).compile()
    builder = api.StateGraph(State)
    builder.add_node("a", step("a"))
    builder.add_node("sub", inner, destinations=("c",))
    builder.add_node("c", step("c"))
    builder.add_edge(api.START, "a")
    builder.add_edge("a", "sub")
    graph = builder.compile()
    return graph.invoke({"value": 1}), list(graph.stream({"value": 1}))


def questions_inside(api: Api) -> Any:
    inner = line(api, Inner, x=step("x"), ask=lambda s: {"log": [api.interrupt("inside?")]}, z=step("z")).compile()
    graph = line(api, a=step("a"), sub=inner, c=step("c")).compile(checkpointer=api.InMemorySaver())
    asked = graph.invoke({"value": 1}, ONE)
    state = graph.get_state(ONE, subgraphs=True)
    nested = state.tasks[0].state
    return (
        asked,
        state.next,
        (nested.values, nested.next),
        graph.get_state(ONE).tasks,
        graph.invoke(api.Command(resume="yes"), ONE),
        graph.get_state(ONE, subgraphs=True).next,
    )


def questions_in_a_called_graph(api: Api) -> Any:
    calls: list[str] = []
    inner = line(api, Inner, ask=lambda s: {"log": [api.interrupt("inside?")]}).compile()

    def calling(state: State) -> Any:
        calls.append("calling")
        return {"log": inner.invoke({"log": []})["log"]}

    graph = line(api, calling=calling).compile(checkpointer=api.InMemorySaver())
    return graph.invoke({"value": 1}, ONE), graph.invoke(api.Command(resume="yes"), ONE), calls


def updating_a_nested_state(api: Api) -> Any:
    inner = line(api, Inner, x=step("x"), y=step("y")).compile(interrupt_before=["y"])
    graph = line(api, sub=inner, c=step("c")).compile(checkpointer=api.InMemorySaver())
    graph.invoke({"value": 1}, ONE)
    nested = graph.get_state(ONE, subgraphs=True).tasks[0].state
    graph.update_state(nested.config, {"log": ["edited"]})
    return nested.values, nested.next, graph.invoke(None, ONE)


def own_histories(api: Api) -> Any:
    """``checkpointer=True``: a nested graph remembers from call to call."""
    made = []
    for own in (None, True, False):
        inner = line(api, Inner, x=lambda s: {"log": [str(len(s["log"]))]}).compile(checkpointer=own)

        def calling(state: State, inner: Any = inner) -> Any:
            return {"log": inner.invoke({"log": ["in"]})["log"]}

        graph = line(api, calling=calling).compile(checkpointer=api.InMemorySaver())
        made.append([graph.invoke({"value": 1}, ONE)["log"], graph.invoke({"value": 1}, ONE)["log"]])
        made.append(outcome(lambda: inner.invoke({"log": []}, ONE)))  # noqa: B023
    return made


def failures_inside(api: Api) -> Any:
    calls: list[str] = []

    def flaky(state: Inner) -> Any:
        calls.append("flaky")
        if len(calls) < 3:
            raise KeyError("inside")
        return {"log": ["flaky"]}

    def before(state: Inner) -> Any:
        calls.append("before")
        return {"log": ["before"]}

    inner = line(api, Inner, before=before, flaky=flaky).compile()
    graph = line(api, sub=inner).compile(checkpointer=api.InMemorySaver())
    return outcome(lambda: graph.invoke({"value": 1}, ONE)), graph.invoke(None, ONE), calls


def deep_nesting(api: Api) -> Any:
    deepest = line(api, Inner, ask=lambda s: {"log": [api.interrupt("deep?")]}).compile()
    middle = line(api, Inner, m=step("m"), deep=deepest).compile()
    graph = line(api, top=step("top"), mid=middle).compile(checkpointer=api.InMemorySaver())
    return (
        list(graph.stream({"value": 1}, ONE, subgraphs=True)),
        list(graph.stream(api.Command(resume="x"), ONE, subgraphs=True, stream_mode="values")),
        graph.get_state(ONE).values,
        [name for name, _ in graph.get_subgraphs()],
        sorted(name for name, _ in graph.get_subgraphs(recurse=True)),
        [name for name, _ in graph.get_subgraphs(namespace="mid|deep", recurse=True)],
    )


def custom_streams_of_nested_graphs(api: Api) -> Any:
    def writing(state: Inner) -> Any:
        api.module("config").get_stream_writer()("inside")
        return {"log": ["w"]}

    inner = line(api, Inner, w=writing).compile()
    graph = line(api, sub=inner).compile()
    return (
        list(graph.stream({"value": 1}, stream_mode="custom")),
        list(graph.stream({"value": 1}, stream_mode="custom", subgraphs=True)),
    )
