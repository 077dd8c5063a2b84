"""Programs about keys that are DeltaChannels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NotRequired, TypedDict

from tests.differential.harness import Api, outcome

ON: Any = {"configurable": {"thread_id": "1"}}


def extend(state: list[Any], writes: Sequence[list[Any]]) -> list[Any]:
    return [*state, *(item for write in writes for item in write)]


def merge(state: dict[str, int], writes: Sequence[dict[str, int]]) -> dict[str, int]:
    for write in writes:
        state = {**state, **write}
    return state


def _keyed(keys: dict[str, Any]) -> Any:
    return TypedDict("State", keys, total=False)  # type: ignore[operator]


def _state(api: Api, **options: Any) -> Any:
    channel = api.module("channels").DeltaChannel
    keys = {
        "log": Annotated[list, channel(extend, **options)],
        "table": NotRequired[Annotated[dict[str, int], channel(merge, **options)]],
        "rest": Annotated[Sequence[str], channel(extend)],
        "n": int,
    }
    return _keyed(keys)


def _graph(api: Api, **options: Any) -> Any:
    def loop(state: Any) -> Any:
        n = state["n"] - 1
        log = api.Overwrite([f"new{n}"]) if n == 4 else [f"loop{n}"]
        return {"n": n, "log": log, "table": {f"{n % 3}": n}}

    def other(state: Any) -> Any:
        return {"log": ["other", len(state["log"])], "rest": [repr(state.get("table"))]}

    builder = api.StateGraph(_state(api, **options)).add_node("loop", loop).add_node("other", other)
    builder.add_edge(api.START, "loop").add_edge(api.START, "other")
    builder.add_conditional_edges("loop", lambda state: ["loop", "other"] if state["n"] else api.END)
    return builder.compile(checkpointer=api.InMemorySaver())


def the_state_at_every_superstep(api: Api) -> Any:
    graph = _graph(api, snapshot_frequency=3)
    results = [graph.invoke({"n": 7, "log": ["in"]}, ON), graph.invoke({"n": 2, "rest": ["r"]}, ON)]
    return results, [(at.values, at.next) for at in graph.get_state_history(ON)]


def stored_at_the_end_alone(api: Api) -> Any:
    graph = _graph(api)
    results = [graph.invoke({"n": n, "log": ["in"]}, ON, durability="exit") for n in (6, 2)]
    return results, graph.get_state(ON).values


def updates_from_outside_and_forks(api: Api) -> Any:
    graph = _graph(api)
    graph.invoke({"n": 3, "log": ["in"]}, ON)
    early = list(graph.get_state_history(ON))[2]
    graph.update_state(ON, {"log": ["by hand"]}, as_node="other")
    late = graph.get_state(ON).values
    fork = graph.update_state(early.config, {"log": ["fork"], "table": {"f": 1}}, as_node="other")
    return late, graph.invoke(None, fork), graph.get_state(ON).values, graph.get_state(early.config).values


def overwrites_from_outside(api: Api) -> Any:
    graph = _graph(api)
    graph.invoke({"n": 2, "log": ["in"]}, ON)
    for value in (["whole"], None):
        graph.update_state(ON, {"log": api.Overwrite(value)}, as_node="other")
    return graph.get_state(ON).values, graph.invoke({"n": 1, "log": api.Overwrite(["anew"])}, ON)


def two_overwrites(api: Api) -> Any:
    builder = api.StateGraph(_state(api))
    for name in ("a", "b"):
        builder.add_node(name, lambda state: {"log": api.Overwrite(["x"])}).add_edge(api.START, name)
    error = outcome(lambda: builder.compile().invoke({"n": 1}))
    return "InvalidUpdateError" in repr(error), "Can receive only one Overwrite value" in repr(error)


def a_question_in_between(api: Api) -> Any:
    def ask(state: Any) -> Any:
        return {"log": [api.interrupt("more?")]}

    builder = api.StateGraph(_state(api)).add_node("ask", ask).add_node("side", lambda state: {"log": ["side"]})
    builder.add_edge(api.START, "ask").add_edge(api.START, "side")
    graph = builder.compile(checkpointer=api.InMemorySaver())
    first = graph.invoke({"log": ["in"]}, ON)
    return (
        first["log"],
        graph.get_state(ON).values,
        graph.invoke(api.Command(resume="yes"), ON),
        graph.get_state(ON).values,
    )


def driven_by_hand(api: Api) -> Any:
    channel = api.module("channels.delta").DeltaChannel
    missing: Any = api.module("types" if api.root == "distgraph" else "_internal._typing").MISSING
    held = channel(extend, list).from_checkpoint(missing)
    seen = [held.is_available(), held.get(), held.update([]), held.update([[1], [2]]), held.get()]
    seen += [held.update([api.Overwrite([5]), [6]]), held.get(), held.update([{"__overwrite__": None}]), held.get()]
    seen += [
        held.copy().get(),
        channel(extend).from_checkpoint([7]).get(),
        channel(merge, dict[str, int]) == channel(merge),
    ]
    seen += [channel(merge) == channel(extend), channel(merge) == channel(merge, snapshot_frequency=2)]
    return seen, type(outcome(lambda: channel(extend, snapshot_frequency=0))).__name__


def a_key_that_becomes_a_delta_channel_and_back(api: Api) -> Any:
    """A thread goes on whatever its key was before."""

    def add(left: list[Any], right: list[Any]) -> list[Any]:
        return left + right

    saver = api.InMemorySaver()
    results = []
    for rule in (add, api.module("channels").DeltaChannel(extend), add):
        state = _keyed({"log": Annotated[list, rule]})
        builder = api.StateGraph(state).add_node("a", lambda state: {"log": [len(state["log"])]})
        graph = builder.add_edge(api.START, "a").compile(checkpointer=saver)
        results.append(graph.invoke({"log": ["in"]}, ON))
    return results


def conversations_in_a_delta_channel(api: Api) -> Any:
    """Messages written in every form get ids before they are stored; a retraction of an unknown one does nothing."""
    from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage

    reducer = api.module("graph.message")._messages_delta_reducer
    made = []
    for given in (
        HumanMessage("a"),
        [HumanMessage("a", id="1"), {"role": "user", "content": "b"}],
        ("user", "a"),
        "a",
        {"type": "human", "content": "a", "id": ""},
        api.Overwrite(["a", ("ai", "b")]),
        {"__overwrite__": [HumanMessage("a")]},
        [AIMessage("old", id="x"), AIMessage("new", id="x"), RemoveMessage(id="none"), RemoveMessage(id="x")],
    ):
        for rule in (reducer, extend):
            state = _keyed({"messages": Annotated[list, api.module("channels").DeltaChannel(rule)]})
            builder = api.StateGraph(state).add_node("a", lambda state, given=given: {"messages": given})
            graph = builder.add_edge(api.START, "a").compile(checkpointer=api.InMemorySaver())
            made.append(outcome(lambda: graph.invoke({"messages": [HumanMessage("in")]}, ON)["messages"]))  # noqa: B023
            once, again = (
                [getattr(each, "id", each) for each in graph.get_state(ON).values.get("messages", ())] for _ in (1, 2)
            )
            assert once == again
    # Pieces of a text that is no message: only what comes before the failure is compared.
    return [each if not isinstance(each, list) else [_shown(item) for item in each] for each in made]


def _shown(item: Any) -> Any:
    return (type(item).__name__, item.content, bool(item.id)) if hasattr(item, "content") else item
