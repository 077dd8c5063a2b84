"""Programs about running: inputs, stream modes, limits, retries, configs, batches, async."""

import asyncio
import operator
import time
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from pydantic import BaseModel

from tests.differential.harness import Api, outcome


class State(TypedDict, total=False):
    value: int
    log: Annotated[list[str], operator.add]


@dataclass
class Record:
    value: int
    word: str = "w"


class Model(BaseModel):
    value: int
    word: str = "w"


@dataclass
class Context:
    who: str = "nobody"


def step(name: str, **update: Any) -> Any:
    def node(state: Any) -> Any:
        return {"log": [name], **update}

    return node


def line(api: Api, *nodes: Any, schema: Any = State, **options: Any) -> Any:
    builder = api.StateGraph(schema, **options)
    builder.add_sequence([(f"n{index}", node) for index, node in enumerate(nodes)])
    builder.add_edge(api.START, "n0")
    return builder


def fork(api: Api, *names: str) -> Any:
    builder = api.StateGraph(State)
    for name in names:
        builder.add_node(name, step(name))
        builder.add_edge(api.START, name)
    return builder


# ---------------------------------------------------------------- inputs and outputs


def inputs(api: Api) -> Any:
    graph = line(api, step("a")).compile()
    return [
        outcome(lambda given=given: graph.invoke(given))  # type: ignore[misc]
        for given in (
            {"value": 1},
            {},
            {"other": 1},
            None,
            [1],
            "text",
            5,
            api.Command(update={"value": 2}),
        )
    ]


def commands_as_input(api: Api) -> Any:
    builder = fork(api, "a")
    builder.add_node("b", step("b"))
    graph = builder.compile()
    command = api.Command
    return (
        graph.invoke(command(goto="b")),
        graph.invoke(command(goto=["b", api.Send("a", {})], update={"value": 3})),
        outcome(lambda: graph.invoke(command(graph=command.PARENT, goto="b"))),
        outcome(lambda: graph.invoke(command(resume=1))),
    )


def invoke_with_other_modes(api: Api) -> Any:
    graph = line(api, step("a"), step("b")).compile()
    given = {"value": 1}
    return (
        graph.invoke(given, stream_mode="updates"),
        graph.invoke(given, stream_mode=["updates", "values"]),
        graph.invoke(given, version="v2"),
        graph.invoke(given, stream_mode="updates", version="v2"),
        graph.invoke(given, output_keys="value"),
        graph.invoke(given, output_keys=["value"]),
    )


def versions_two(api: Api) -> Any:
    made = []
    for schema in (Record, Model, State):
        graph = line(api, lambda s: {"value": 5}, schema=schema).compile()
        made += [
            graph.invoke({"value": 1}, version="v2"),
            list(graph.stream({"value": 1}, version="v2", stream_mode=["values", "updates", "tasks"])),
            list(graph.stream({"value": 1}, version="v2")),
        ]
    return made


# ---------------------------------------------------------------- streams


def all_modes_of_a_line(api: Api) -> Any:
    graph = line(api, step("a"), lambda s: None, step("c", value=3)).compile()
    modes = ["values", "updates", "tasks", "checkpoints", "custom"]
    return [(mode, list(graph.stream({"value": 1}, stream_mode=mode))) for mode in modes], list(
        graph.stream({"value": 1}, stream_mode=modes)
    )


def debug_stream(api: Api) -> Any:
    graph = line(api, step("a"), step("b")).compile(checkpointer=api.InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    return (
        list(graph.stream({"value": 1}, config, stream_mode="debug")),
        list(graph.stream({"value": 2}, config, stream_mode="checkpoints")),
    )


def custom_stream(api: Api) -> Any:
    def writing(state: State, writer: api.module("types").StreamWriter) -> Any:  # type: ignore[valid-type]
        writer("first")
        writer({"second": 2})
        api.module("config").get_stream_writer()("third")
        return {"value": 1}

    def untyped(state: State, writer) -> Any:  # type: ignore[no-untyped-def]  # noqa: ANN001
        writer("untyped")

    graph = line(api, writing, untyped).compile()
    return list(graph.stream({}, stream_mode="custom")), list(graph.stream({}, stream_mode=["custom", "updates"]))


def updates_of_parallel_nodes(api: Api) -> Any:
    chunks = list(fork(api, "a", "b").compile().stream({}, stream_mode="updates"))
    return sorted(chunks, key=repr)


def several_writes_to_one_key(api: Api) -> Any:
    command = api.Command
    graph = line(
        api,
        lambda s: [command(update={"log": ["1"]}), {"log": ["2"], "value": 1}],
        lambda s: command(update=[("log", ["3"]), ("log", ["4"])]),
    ).compile()
    return list(graph.stream({}, stream_mode="updates")), list(graph.stream({}, stream_mode="tasks"))


def sends_in_streams(api: Api) -> Any:
    builder = fork(api, "a")
    builder.add_node("w", lambda arg: {"log": [str(arg)]})
    builder.add_conditional_edges("a", lambda s: [api.Send("w", 1), api.Send("w", 2)])
    graph = builder.compile()
    return (
        sorted(graph.stream({}, stream_mode="updates"), key=repr),
        list(graph.stream({}, stream_mode="values")),
    )


def output_keys_of_streams(api: Api) -> Any:
    graph = line(api, step("a"), step("b", value=2)).compile()
    return [
        list(graph.stream({"value": 1}, stream_mode=["values", "updates"], output_keys=keys))
        for keys in ("value", ["value"], ["log"])
    ]


# ---------------------------------------------------------------- limits and failures


def recursion_limits(api: Api) -> Any:
    graph = line(api, step("a"), step("b"), step("c")).compile()
    return [
        outcome(lambda limit=limit: graph.invoke({}, {"recursion_limit": limit}))  # type: ignore[misc]
        for limit in (1, 2, 3, 4, 5, 0, -1)
    ]


def failures_are_raised_as_they_are(api: Api) -> Any:
    class Custom(Exception):
        pass

    def failing(state: State) -> Any:
        raise Custom("text")

    builder = fork(api, "a", "b")
    builder.add_node("failing", failing)
    builder.add_edge("a", "failing")
    graph = builder.compile()
    chunks: list[Any] = []

    def run() -> None:
        chunks.extend(graph.stream({}, stream_mode="values"))

    return outcome(run), chunks


def conflicting_writes(api: Api) -> Any:
    builder = api.StateGraph(State)
    for name in ("a", "b"):
        builder.add_node(name, lambda s: {"value": 1})
        builder.add_edge(api.START, name)
    return outcome(lambda: builder.compile().invoke({}))


def retries(api: Api) -> Any:
    def run(policy: Any, *failures: Exception) -> Any:
        left = list(failures)
        calls = []

        def node(state: State) -> Any:
            calls.append(1)
            if left:
                raise left.pop(0)
            return {"value": 1}

        builder = api.StateGraph(State)
        builder.add_node("n", node, retry_policy=policy)
        builder.add_edge(api.START, "n")
        return outcome(lambda: builder.compile().invoke({})), len(calls)

    policy = api.RetryPolicy
    quick = {"initial_interval": 0.001, "jitter": False}
    key = policy(retry_on=KeyError, max_attempts=3, **quick)
    connection = policy(retry_on=(ConnectionError,), max_attempts=2, **quick)
    return (
        run(policy(**quick), ConnectionError(), ConnectionError()),
        run(policy(**quick), ConnectionError(), ConnectionError(), ConnectionError()),
        run(policy(**quick), ValueError()),
        run(policy(retry_on=lambda e: isinstance(e, ValueError), **quick), ValueError()),
        run([key, connection], KeyError(), ConnectionError()),
        run([key, connection], KeyError(), KeyError(), ConnectionError()),
        run([connection, key], ConnectionError(), KeyError()),
    )


def step_timeouts(api: Api) -> Any:
    async def slow(state: State) -> Any:
        await asyncio.sleep(5)

    graph = line(api, slow).compile()
    graph.step_timeout = 0.05
    begun = time.monotonic()
    raised = outcome(lambda: asyncio.run(graph.ainvoke({})))
    return raised, time.monotonic() - begun < 4


# ---------------------------------------------------------------- config and context


def configs(api: Api) -> Any:
    seen: list[Any] = []

    def reading(state: State, config) -> Any:  # type: ignore[no-untyped-def]  # noqa: ANN001
        kept = {
            key: value
            for key, value in config["configurable"].items()
            if not key.startswith("__") and "checkpoint" not in key
        }
        seen.append((kept, config.get("tags"), config.get("recursion_limit")))
        return {"value": 1}

    graph = line(api, reading).compile().with_config(configurable={"one": 1}, tags=["t"])
    graph.invoke({}, {"configurable": {"two": 2}, "tags": ["u"], "recursion_limit": 7})
    graph.with_config({"configurable": {"one": "other"}}).invoke({})
    return seen


def contexts(api: Api) -> Any:
    seen: list[Any] = []

    def node(state: State, runtime: api.Runtime[Context]) -> Any:  # type: ignore[name-defined]
        seen.append(runtime.context)

    graph = line(api, node, context_schema=Context).compile()
    graph.invoke({}, context={"who": "dict"})
    graph.invoke({}, context=Context("instance"))
    graph.invoke({})
    bare = line(api, node).compile()
    bare.invoke({}, context={"who": "dict"})
    return seen


def runtimes(api: Api) -> Any:
    seen: list[Any] = []

    def node(state: State, runtime: api.Runtime) -> Any:  # type: ignore[name-defined]
        info = runtime.execution_info
        seen.append((info.node_attempt, info.thread_id, info.checkpoint_ns, bool(info.task_id), runtime.previous))
        seen.append(api.module("runtime").get_runtime().execution_info.node_attempt)
        seen.append(runtime.drain_requested)

    graph = line(api, node).compile(checkpointer=api.InMemorySaver())
    graph.invoke({"value": 1}, {"configurable": {"thread_id": "5"}})
    return seen


def outside_of_a_run(api: Api) -> Any:
    return (
        outcome(lambda: api.interrupt("?")),
        outcome(lambda: api.module("config").get_stream_writer()),
        outcome(lambda: api.module("config").get_config()),
    )


def draining(api: Api) -> Any:
    control = api.RunControl()

    def node(state: State, runtime: api.Runtime) -> Any:  # type: ignore[name-defined]
        runtime.control.request_drain("stop")
        return {"log": ["a"]}

    graph = line(api, node, step("b")).compile(checkpointer=api.InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    first = outcome(lambda: graph.invoke({}, config, control=control))
    return first, control.drain_requested, graph.invoke(None, config)


# ---------------------------------------------------------------- batches


def batches(api: Api) -> Any:
    def node(state: State) -> Any:
        if state["value"] == 2:
            raise KeyError("two")
        return {"value": state["value"] * 10}

    graph = line(api, node).compile()
    given = [{"value": index} for index in range(5)]
    return (
        graph.batch(given[:2]),
        graph.batch(given, return_exceptions=True),
        outcome(lambda: graph.batch(given)),
        graph.batch(given[:2], [{"tags": ["a"]}, {"tags": ["b"]}], output_keys="value"),
        outcome(lambda: graph.batch(given, [{}])),
        graph.batch([]),
        sorted(graph.batch_as_completed(given[:2])),
        asyncio.run(graph.abatch(given[:2])),
        outcome(lambda: asyncio.run(graph.abatch(given))),
        graph.batch(given[:2], {"max_concurrency": 1}),
        graph.map().invoke(given[:2]),
    )


# ---------------------------------------------------------------- async


def async_nodes(api: Api) -> Any:
    async def awaiting(state: State) -> Any:
        await asyncio.sleep(0)
        return {"log": ["async"]}

    async def generating(state: State) -> Any:
        yield {"value": 1}
        yield {"value": 2}

    graph = line(api, awaiting, step("sync"), generating).compile()

    async def streamed(**options: Any) -> Any:
        return [chunk async for chunk in graph.astream({}, **options)]

    return (
        asyncio.run(graph.ainvoke({})),
        asyncio.run(streamed()),
        asyncio.run(streamed(stream_mode=["values", "updates", "tasks"])),
        outcome(lambda: graph.invoke({})),
    )


def async_failure_cancels_siblings(api: Api) -> Any:
    seen: list[Any] = []

    async def failing(state: State) -> Any:
        await asyncio.sleep(0.01)
        raise KeyError("x")

    async def slow(state: State) -> Any:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    builder = api.StateGraph(State)
    builder.add_node("failing", failing)
    builder.add_node("slow", slow)
    builder.add_edge(api.START, "failing")
    builder.add_edge(api.START, "slow")
    return outcome(lambda: asyncio.run(builder.compile().ainvoke({}))), seen


# ---------------------------------------------------------------- channels by hand


def channel_graphs(api: Api) -> Any:
    channels = api.module("channels")
    node = api.NodeBuilder().subscribe_only("input").do(lambda x: x + 1).write_to("output")
    two = api.NodeBuilder().subscribe_only("mid").do(lambda x: x * 10).do(lambda x: x + 1).write_to("output")
    graph = api.Pregel(
        nodes={"one": node},
        channels={"input": channels.EphemeralValue(int), "output": channels.LastValue(int)},
        input_channels="input",
        output_channels="output",
    )
    chain = api.Pregel(
        nodes={
            "one": api.NodeBuilder().subscribe_only("input").write_to("mid", fixed=5, plus=lambda x: x + 1),
            "two": two,
        },
        channels={
            "input": channels.LastValue(int),
            "mid": channels.LastValue(int),
            "fixed": channels.LastValue(int),
            "plus": channels.LastValue(int),
            "output": channels.LastValue(int),
        },
        input_channels=["input"],
        output_channels=["output", "fixed", "plus"],
        stream_channels=["output", "mid"],
    )
    reading = api.Pregel(
        nodes={
            "one": api.NodeBuilder().subscribe_to("a", "b").read_from("c").do(lambda view: dict(view)).write_to("out"),
            "quiet": api.NodeBuilder().subscribe_to("a", read=False).do(lambda view: len(view)).write_to("size"),
        },
        channels={key: channels.LastValue(object) for key in ("a", "b", "c", "out", "size")},
        input_channels=["a", "c"],
        output_channels=["out", "size"],
    )
    return (
        graph.invoke(2),
        list(graph.stream(2)),
        list(graph.stream(2, stream_mode=["updates", "tasks"])),
        graph.stream_mode,
        chain.invoke({"input": 2}),
        list(chain.stream({"input": 2})),
        list(chain.stream({"input": 2}, stream_mode="updates")),
        reading.invoke({"a": 1, "c": 3}),
        outcome(lambda: chain.invoke({"other": 1})),
    )


def channel_graph_mistakes(api: Api) -> Any:
    channels = api.module("channels")
    kinds = {"input": channels.LastValue(int), "output": channels.LastValue(int)}

    def on(node: Any, **options: Any) -> Any:
        given = {"channels": kinds, "input_channels": "input", "output_channels": "output", **options}
        return outcome(lambda: api.Pregel(nodes={"one": node}, **given) and None)

    def node() -> Any:
        return api.NodeBuilder().subscribe_only("input").write_to("output")

    return [
        on(node()),
        on(node(), input_channels="missing"),
        on(node(), input_channels="output"),
        on(node(), output_channels="missing"),
        on(node(), stream_channels=["missing"]),
        on(node(), interrupt_after_nodes=["missing"]),
        on(api.NodeBuilder().subscribe_only("missing").write_to("output")),
        outcome(lambda: node().subscribe_to("x") and None),
        outcome(lambda: node().subscribe_only("x") and None),
    ]


def messages(api: Api) -> Any:
    from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage

    def named(messages_: Any) -> Any:
        return [(message.type, message.content, message.id is not None) for message in messages_]

    builder = api.StateGraph(api.MessagesState)
    builder.add_node("a", lambda s: {"messages": ("ai", "hello")})
    builder.add_node("b", lambda s: {"messages": [AIMessage("again", id="1"), RemoveMessage(id=s["messages"][0].id)]})
    builder.add_edge(api.START, "a")
    builder.add_edge("a", "b")
    graph = builder.compile()
    return (
        named(graph.invoke({"messages": "hi"})["messages"]),
        named(graph.invoke({"messages": [HumanMessage("hi")]})["messages"]),
        named(api.add_messages([HumanMessage("x", id="1")], [("user", "y"), AIMessage("z", id="1")])),
        outcome(lambda: api.add_messages([], [RemoveMessage(id="none")])),
        outcome(lambda: api.add_messages([])),
    )
