"""Programs as people bring them along: states edited while a graph waits, tools, tracers, values of many types."""

import asyncio
import ipaddress
import json
import re
from collections import defaultdict
from operator import add
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, TypedDict

from langchain_core.callbacks import adispatch_custom_event, dispatch_custom_event
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import RunnableConfig, RunnablePassthrough
from langchain_core.tools import tool
from langchain_core.tracers.base import BaseTracer

from tests.differential.harness import Api, outcome


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[Any], add]


def _config(thread: str = "1") -> Any:
    return {"configurable": {"thread_id": thread}}


def _values(questions: Any) -> list[Any]:
    return [question.value for question in questions]


def _one(api: Api, name: str, action: Any, **options: Any) -> Any:
    builder = api.StateGraph(State).add_node(name, action, **options).add_edge(api.START, name)
    return builder.compile(checkpointer=api.InMemorySaver())


# ---------------------------------------------------------------- questions


def nested_states_edited_before_they_are_answered(api: Api) -> Any:
    def ask(state: Any) -> Any:
        return {"log": [api.interrupt("who?"), state["n"]]}

    inner = api.StateGraph(State).add_node("ask", ask).add_edge(api.START, "ask").compile()
    middle = api.StateGraph(State).add_node("inner", inner).add_edge(api.START, "inner").compile()
    seen = []
    for nested in (inner, middle):
        graph = _one(api, "nested", nested)
        graph.invoke({"n": 1}, _config())
        state = graph.get_state(_config(), subgraphs=True).tasks[0].state
        graph.update_state(state.config, {"n": 44})
        seen.append((graph.invoke(api.Command(resume="me"), _config()), graph.get_state(_config()).next))
    return seen


def questions_that_are_replaced(api: Api) -> Any:
    """What comes with an answer replaces the tasks that wait: the answer is for whoever asks next."""

    def ask(state: Any) -> Any:
        return {"log": [f"q{api.interrupt('?')}"]}

    def route(state: Any) -> Any:
        return [api.Send("plain", state), api.Send("ask", state)]

    builder = api.StateGraph(State).add_node("plain", lambda state: {"log": ["p"]}).add_node("ask", ask)
    graph = builder.add_conditional_edges(api.START, route, ["plain", "ask"]).compile(checkpointer=api.InMemorySaver())
    first = graph.invoke({"log": ["in"]}, _config())["log"]
    again = graph.invoke(api.Command(resume="yes", goto=[api.Send("ask", {"log": []})]), _config())
    state = graph.get_state(_config())
    return first, again, state.values, state.next


def tasks_beside_one_that_asks(api: Api) -> Any:
    """They run to their end, and do not run again."""
    func, called = api.module("func"), []

    @func.task  # type: ignore[untyped-decorator]
    async def ask(name: str) -> Any:
        called.append(name)
        return api.interrupt(name)

    @func.task  # type: ignore[untyped-decorator]
    async def slow() -> str:
        called.append("slow")
        await asyncio.sleep(0.05)
        called.append("done")
        return "slow"

    @func.entrypoint(checkpointer=api.InMemorySaver())  # type: ignore[untyped-decorator]
    async def workflow(given: int) -> Any:
        futures = [ask("a"), slow(), ask("b")]
        return [await future for future in futures]

    async def run() -> Any:
        first = await workflow.ainvoke(1, _config())
        so_far, called[:] = [*called], []
        (question,) = first["__interrupt__"]
        second = await workflow.ainvoke(api.Command(resume={question.id: "A"}), _config())
        return so_far, _values(first["__interrupt__"]), [*called], _values(second["__interrupt__"])

    return asyncio.run(run())


def plain_tasks_beside_one_that_asks(api: Api) -> Any:
    func, called = api.module("func"), []

    @func.task  # type: ignore[untyped-decorator]
    def ask(name: str) -> Any:
        called.append(name)
        return api.interrupt(name)

    @func.entrypoint(checkpointer=api.InMemorySaver())  # type: ignore[untyped-decorator]
    def workflow(given: int) -> Any:
        return [future.result() for future in [ask("a"), ask("b"), ask("c")]]

    return [(_values(workflow.invoke(1, _config(str(n)))["__interrupt__"]), sorted(called)) for n in range(5)]


def threads_that_do_not_exist(api: Api) -> Any:
    graph = _one(api, "a", lambda state: {})
    return graph.get_state(_config("none")), graph.get_state({"configurable": {"thread_id": "1", "checkpoint_id": "x"}})


# ---------------------------------------------------------------- what LangChain's objects are told


@tool
def double(n: int) -> int:
    """Twice a number."""
    if n < 0:
        raise ValueError("negative")
    return n * 2


def tools_tell_what_they_do(api: Api) -> Any:
    def work(state: Any, config: RunnableConfig) -> Any:
        quiet = double.invoke({"n": 5}, {**config, "tags": ["nostream"]})
        return {"log": [double.invoke({"n": state["n"]}, config), quiet]}

    graph = _one(api, "work", work)
    outer = _one(api, "inner", graph)

    def told(graph: Any, given: Any, **options: Any) -> Any:
        chunks: list[Any] = []

        def read() -> None:
            config = _config(str(len(options)))
            for chunk in graph.stream({"n": given}, config, stream_mode=["tools", "updates"], **options):
                ns = [part.split(":")[0] for part in chunk[0]] if options.get("subgraphs") else []
                chunks.append((ns, *chunk[-2:]))

        return outcome(read), chunks

    return told(graph, 2), told(graph, -1), told(outer, 3, subgraphs=True), told(outer, 3)


def events_that_nobody_hears(api: Api) -> Any:
    def plain(state: Any) -> Any:
        dispatch_custom_event("plain", 1)

    def handed(state: Any, config: RunnableConfig) -> Any:
        dispatch_custom_event("handed", 1, config=config)
        callbacks: Any = config["callbacks"]
        return {"log": [len(callbacks.handlers)]}

    async def awaited(state: Any) -> Any:
        await adispatch_custom_event("awaited", 1)

    sequence = api.StateGraph(State).add_sequence([plain, handed]).add_edge(api.START, "plain").compile()
    return sequence.invoke({"n": 1}), asyncio.run(_one(api, "awaited", awaited).ainvoke({"n": 1}, _config()))


class Tracer(BaseTracer):
    """Keeps what it records of runs, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded: list[Any] = []

    def _persist_run(self, run: Any) -> None:
        """Nothing is kept elsewhere."""

    def _end_trace(self, run: Any) -> None:
        self.recorded.append((run.name, run.inputs, run.outputs))
        super()._end_trace(run)


def what_tracers_record_of_a_node(api: Api) -> Any:
    policy, seen = api.module("types").TracePolicy, []

    def short(value: Any) -> Any:
        seen.append(value)
        return {"short": True}

    def fails(value: Any) -> Any:
        raise RuntimeError("no matter")

    policies = [
        policy(process_inputs=short),
        policy(process_outputs=short),
        policy(process_inputs=short, process_outputs=api.module("types").omit_payload),
        policy(process_inputs=fails),
    ]
    recorded = []
    for each in policies:
        tracer = Tracer()
        graph = _one(api, "n", lambda state: {"n": state["n"] + 1}, trace_policy=each)
        result = graph.invoke({"n": 1}, {**_config(), "callbacks": [tracer]})
        recorded.append((result, [run for run in tracer.recorded if run[0] == "n"]))
    return recorded, seen


def what_workflows_are_called(api: Api) -> Any:
    func, tracer = api.module("func"), Tracer()

    @func.entrypoint()  # type: ignore[untyped-decorator]
    def workflow(n: int) -> int:
        return n

    async def events() -> Any:
        return [(event["event"], event["name"]) async for event in workflow.astream_events(1, version="v2")]

    workflow.invoke(1, {"callbacks": [tracer]})
    return asyncio.run(events()), [name for name, _, _ in tracer.recorded]


def graphs_on_threads_of_their_own_are_heard(api: Api) -> Any:
    model = FakeListChatModel(responses=["ab"])
    child = _one(api, "says", lambda state: {"log": [model.invoke("?").content]})

    def calls(state: Any) -> Any:
        return {"log": child.invoke({"n": 1}, _config("own"))["log"]}

    def read(**options: Any) -> Any:
        stream = _one(api, "calls", calls).stream({"n": 1}, _config(), stream_mode="messages", version="v2", **options)
        return [part["data"][0].content for part in stream]

    return read(subgraphs=True), read()


# ---------------------------------------------------------------- values and looks


def values_of_many_types_are_stored(api: Api) -> Any:
    values = [
        *(Path("/a/b"), re.compile("a+", re.IGNORECASE), defaultdict(list, a=[1])),
        *(ipaddress.ip_address("1.2.3.4"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_interface("::1/64")),
    ]
    graph = _one(api, "n", lambda state: {"log": values})
    graph.invoke({"n": 1}, _config())
    return graph.get_state(_config()).values["log"] == values


def wrong_results(api: Api) -> Any:
    def returning(result: Any) -> Any:
        return outcome(lambda: _one(api, "n", lambda state: result).invoke({}, _config()))

    return [returning(result) for result in (object, int, "text", 5, ["a"])]


def what_is_said_by_name(api: Api) -> Any:
    types = api.module("types")
    limits = [api.Send("a", 1, timeout=limit).timeout for limit in (None, 3, types.TimeoutPolicy(idle_timeout=2))]
    return limits, outcome(lambda: api.Command("a"))


def functions_of_nodes(api: Api) -> Any:
    def plain(state: Any) -> Any:
        return {}

    async def awaited(state: Any) -> Any:
        return {}

    builder = api.StateGraph(State).add_node("one", plain).add_node("two", awaited).add_edge(api.START, "one")
    found = [builder.nodes[name].runnable for name in ("one", "two")]
    graph = builder.compile()
    graph.nodes["one"].copy({})
    return (
        [(each.name, each.func is plain, each.afunc is awaited) for each in found],
        (graph.input_channels, graph.output_channels, graph.stream_channels),
    )


def drawings_of_workflows(api: Api) -> Any:
    @api.module("func").entrypoint()  # type: ignore[untyped-decorator]
    def workflow(n: int) -> int:
        return n

    channels = api.module("channels")
    nodes = {
        name: api.NodeBuilder().subscribe_only(name).do(lambda value: value).write_to(to)
        for name, to in (("a", "b"), ("b", "c"))
    }
    graph = api.Pregel(
        nodes=nodes,
        channels={name: channels.EphemeralValue(str) for name in "abc"},
        input_channels="a",
        output_channels="c",
    )
    return workflow.get_graph().draw_mermaid(), graph.get_graph().draw_mermaid()


def drawings_of_loops(api: Api) -> Any:
    builder = api.StateGraph(State).add_node("Work", lambda state: {}).add_node("next", lambda state: {})
    ways = {"again": "Work", "on": "next", "stop": api.END}
    builder.add_edge(api.START, "Work").add_conditional_edges("Work", lambda state: "stop", ways)
    return builder.compile().get_graph().draw_mermaid()


def graphs_behind_attributes(api: Api) -> Any:
    """What a node reads of attributes' attributes is found, and no graph that none of its code reads."""
    inner = api.StateGraph(State).add_node("deep", lambda state: {}).add_edge(api.START, "deep").compile()
    room = SimpleNamespace(shelf=SimpleNamespace(graph=inner))

    def reads(state: Any) -> Any:
        return room.shelf.graph.invoke(state)

    def never_reads(state: Any) -> Any:
        if not __debug__:
            room.shelf.graph.invoke(state)
        return {}

    return [[name for name, _ in _one(api, "node", node).get_subgraphs()] for node in (reads, never_reads)]


def pipes_that_hand_on_pieces(api: Api) -> Any:
    graph = _one(api, "one", lambda state: {"n": 2}) | RunnablePassthrough()
    pairs = [(chunk, graph.invoke({"n": 1}, _config("2"))) for chunk in graph.stream({"n": 1}, _config())]

    async def chunks() -> Any:
        return [chunk async for chunk in graph.astream({"n": 1}, _config("3"))]

    return pairs, asyncio.run(chunks())


def questions_stored_as_json(api: Api) -> Any:
    """As releases before version 1 did."""
    serializer = api.module("checkpoint.serde.jsonplus").JsonPlusSerializer(allowed_json_modules=True)
    kwargs = {"value": "?", "resumable": True, "ns": ["a:1", "b:2"], "when": "during"}
    stored = {"lc": 2, "type": "constructor", "id": ["langgraph", "types", "Interrupt"], "kwargs": kwargs}
    found = serializer.loads_typed(("json", json.dumps({"asked": [stored, 1.5, None]}).encode()))["asked"]
    return found[0].value, found[0].id, found[1:]
