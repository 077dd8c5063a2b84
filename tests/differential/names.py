"""Programs about older names and small habits: they warn, and they work."""

import asyncio
import warnings
from typing import Any, TypedDict

from tests.differential.harness import Api, outcome


class State(TypedDict):
    n: int


class Nested(TypedDict):
    n: int


def _warned(call: Any) -> Any:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        result = call()
    return result, sorted({each.category.__name__ for each in found if "Deprecat" in each.category.__name__})


def older_names(api: Api) -> Any:
    types = api.module("types")
    question = types.Interrupt("v", "i" * 32)
    output = types.GraphOutput({"n": 1}, (question,))
    return [
        _warned(lambda: question.interrupt_id),
        _warned(lambda: output["n"]),
        _warned(lambda: output["__interrupt__"]),
        _warned(lambda: "n" in output),
        _warned(lambda: api.module("constants").Send is types.Send),
        _warned(lambda: api.module("errors").NodeInterrupt("v").args[0][0].value),
        outcome(lambda: types.Interrupt("v", nonsense=1).value) if api.root == "distgraph" else None,
    ][:-1]


def subscripted_graphs(api: Api) -> Any:
    builder = api.StateGraph[State](State)
    builder.add_node("a", lambda state: {"n": state["n"] + 1}).add_edge(api.START, "a")
    return builder.compile().invoke({"n": 1})


def schemas_of_a_graph_of_channels(api: Api) -> Any:
    channels = api.module("channels")
    node = api.NodeBuilder().subscribe_only("input").do(lambda n: n + 1).write_to("output", fixed=5)
    graph = api.Pregel(
        nodes={"one": node},
        channels={name: channels.LastValue(int) for name in ("input", "output", "fixed")},
        input_channels="input",
        output_channels=["output", "fixed"],
    )
    return graph.invoke(2), graph.input_schema.model_json_schema(), graph.get_output_jsonschema(), graph.get_name()


def channels_by_hand(api: Api) -> Any:
    channels = api.module("channels")
    topic = channels.Topic(str, True).from_checkpoint(["a"])
    topic.update(["b", ["c"]])
    last = channels.LastValue(int).from_checkpoint(3)
    twin = last.copy()
    last.update([4])
    return topic.get(), topic.UpdateType == str | list[str], last.get(), twin.get(), last.ValueType is int


def callbacks_that_fail(api: Api) -> Any:
    class Failing(api.module("callbacks").GraphCallbackHandler):  # type: ignore[misc]
        def on_interrupt(self, event: Any) -> None:
            raise ValueError("of no importance")

    graph = api.StateGraph(State).add_node("ask", lambda state: {"n": api.interrupt("?")}).add_edge(api.START, "ask")
    app = graph.compile(checkpointer=api.InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}, "callbacks": [Failing()]}
    return app.invoke({"n": 1}, config), app.invoke(api.Command(resume=2), config)


def who_serves_the_run(api: Api) -> Any:
    seen = []

    def node(state: State, runtime: Any) -> None:
        seen.append(runtime.server_info)

    node.__annotations__["runtime"] = api.Runtime
    app = api.StateGraph(State).add_node("node", node).add_edge(api.START, "node").compile()
    app.invoke({"n": 1}, {"configurable": {"assistant_id": "a", "graph_id": "g", "langgraph_auth_user": {"id": 1}}})
    app.invoke({"n": 1})
    return [info and (info.assistant_id, info.graph_id, info.user) for info in seen]


def a_called_graph_has_a_state(api: Api) -> Any:
    inner = api.StateGraph(Nested).add_node("ask", lambda state: {"n": api.interrupt("?")}).add_edge(api.START, "ask")
    graph = inner.compile(checkpointer=True)

    def calls(state: State) -> Any:
        return graph.invoke({"n": state["n"] * 10})

    app = api.StateGraph(State).add_node("calls", calls).add_edge(api.START, "calls")
    outer = app.compile(checkpointer=api.InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    outer.invoke({"n": 1}, config)
    (task,) = outer.get_state(config, subgraphs=True).tasks
    return task.state.values, task.state.next, outer.invoke(api.Command(resume=7), config)


def a_replay_takes_nested_graphs_back(api: Api) -> Any:
    seen = []

    def step(state: State) -> Any:
        seen.append(state["n"])
        return {"n": state["n"] + 1}

    class Inner(TypedDict):
        total: int

    def count(state: Inner) -> Any:
        seen.append(state.get("total"))
        return {"total": state.get("total", 0) + 1}

    inner = api.StateGraph(Inner).add_node("count", count).add_edge(api.START, "count").compile(checkpointer=True)
    builder = api.StateGraph(State).add_node("step", step).add_node("inner", lambda state: _none(inner.invoke({})))
    app = builder.add_edge(api.START, "step").add_edge("step", "inner").compile(checkpointer=api.InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    app.invoke({"n": 1}, config)
    app.invoke({"n": 5}, config)
    before = next(state for state in app.get_state_history(config) if state.next == ("step",))
    app.invoke(None, before.config)
    return seen


def _none(result: Any) -> None:
    return None


def finished_beside_a_question(api: Api) -> Any:
    def ask(state: State) -> Any:
        return {"n": api.interrupt(state["n"])}

    inner = api.StateGraph(State).add_node("ask", ask).add_edge(api.START, "ask").compile()

    class Answers(TypedDict):
        n: Any

    builder = api.StateGraph(Answers).add_node("inner", lambda state: _none(inner.invoke(state)))
    builder.add_conditional_edges(api.START, lambda state: [api.Send("inner", {"n": n}) for n in (1, 2)])
    app = builder.compile(checkpointer=api.InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    # Which of the two asks first is chance.
    asked = sorted((part["__interrupt__"][0] for part in app.stream({"n": 0}, config)), key=lambda one: one.value)
    ids = [one.id for one in asked]
    first = sorted(app.stream(api.Command(resume={ids[0]: "x"}), config), key=str)
    return (
        first,
        [*app.stream(api.Command(resume={ids[1]: "y"}), config)],
        [*app.stream(api.Command(resume={}), config)],
    )


def strict_answers(api: Api) -> Any:
    def ask(state: State) -> Any:
        return {"n": api.interrupt("?")}

    app = (
        api.StateGraph(State).add_node("ask", ask).add_edge(api.START, "ask").compile(checkpointer=api.InMemorySaver())
    )
    config: Any = {"configurable": {"thread_id": "1", "__pregel_strict_resume": True}}
    app.invoke({"n": 1}, config)
    refused = outcome(lambda: app.invoke(api.Command(resume={}), config))
    other = outcome(lambda: app.invoke(api.Command(resume={"0" * 32: 1}), config))
    return refused, other, app.invoke(api.Command(resume=3), config)


def a_dict_of_callables_is_a_node(api: Api) -> Any:
    async def awaited(state: Any) -> Any:
        return state["n"] + 2

    def graph(**parts: Any) -> Any:
        make: Any = TypedDict
        schema = make("schema", {"n": int, "a": int, "b": int}, total=False)
        return api.StateGraph(schema).add_node("both", parts).add_edge(api.START, "both").compile()

    both = graph(a=lambda state: state["n"], b=lambda state: state["n"] + 1)
    mixed = graph(a=lambda state: state["n"], b=awaited)
    return (
        both.invoke({"n": 1}),
        asyncio.run(mixed.ainvoke({"n": 1})),
        outcome(lambda: api.StateGraph(State).add_node("x", {"a": 3}) and None),
    )


def graphs_of_messages_alone(api: Api) -> Any:
    builder, names = _warned(api.module("graph").MessageGraph)
    builder.add_node("bot", lambda messages: [("assistant", f"{len(messages)}")])
    builder.set_entry_point("bot")
    builder.set_finish_point("bot")
    return names, [(m.type, m.content) for m in builder.compile().invoke([("user", "hi")])]


def histories_that_nobody_keeps(api: Api) -> Any:
    graph = api.StateGraph(State).add_node("a", lambda state: None).add_edge(api.START, "a").compile(checkpointer=True)
    config: Any = {"configurable": {"thread_id": "1"}}
    return [
        outcome(lambda: graph.invoke({"n": 1}, config)),
        outcome(lambda: graph.get_state(config)),
        outcome(lambda: graph.update_state(config, {"n": 1})),
        outcome(lambda: list(graph.get_state_history(config))),
    ]
