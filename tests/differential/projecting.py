"""Programs that read runs as objects: ``stream_events(version="v3")``."""

from __future__ import annotations

import asyncio
import threading
import warnings
from typing import Annotated, Any, TypedDict

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage

from tests.differential.harness import Api, outcome
from tests.waiting import wait_until


class State(TypedDict, total=False):
    n: int


def _graph(api: Api, *nodes: tuple[str, Any], **options: Any) -> Any:
    schema = options.pop("schema", State)
    return api.StateGraph(schema).add_sequence([*nodes]).add_edge(api.START, nodes[0][0]).compile(**options)


def _write(library: Api) -> Any:
    def tell(state: State) -> State:
        library.module("config").get_stream_writer()({"told": state["n"]})
        return {"n": state["n"] + 1}

    return tell


def _nested(api: Api, **options: Any) -> Any:
    """Three levels."""
    inmost = _graph(api, ("x", _write(api)), ("y", _write(api)))
    inner = _graph(api, ("deep", inmost), ("z", _write(api)))
    return _graph(api, ("a", _write(api)), ("inner", inner), ("b", _write(api)), **options)


def _run(graph: Any, given: Any, *args: Any, **options: Any) -> Any:
    # The peer says at every call that this is beta.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return graph.stream_events(given, *args, version="v3", **options)


async def _arun(graph: Any, given: Any, *args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return await graph.astream_events(given, *args, version="v3", **options)


def _event(event: Any) -> Any:
    params = event["params"]
    said = {key: value for key, value in params.items() if key not in ("timestamp", "data")}
    data = params["data"]
    if event["method"] == "messages":
        data = [data[0], data[1]["langgraph_node"]]
    return event["type"], event["method"], event["seq"], said, data


def _all(library: Api) -> list[Any]:
    names = ("Custom", "Tasks", "Checkpoints", "Debug", "Updates")
    return [getattr(library.module("stream.transformers"), f"{name}Transformer") for name in names]


PROJECTIONS = ("values", "updates", "custom", "tasks", "lifecycle")


def events(api: Api) -> Any:
    """Every event of a run with nested graphs; and of one whose log holds all modes."""
    return [
        [_event(event) for event in _run(_nested(api), {"n": 1})],
        [_event(event) for event in _run(_nested(api), {"n": 1}, transformers=_all(api)[:2])],
    ]


def async_events(api: Api) -> Any:
    async def program() -> Any:
        return [_event(event) async for event in await _arun(_nested(api), {"n": 1}, transformers=_all(api)[:2])]

    return asyncio.run(program())


def projections(api: Api) -> Any:
    """One by one, each of a run of its own; and then what the run came to."""
    found = {}
    for name in PROJECTIONS:
        run = _run(_nested(api), {"n": 1}, transformers=_all(api))
        found[name] = [list(getattr(run, name)), run.output, run.interrupted, run.interrupts]
    return found


def checkpoints_and_debug(api: Api) -> Any:
    graph, found = _nested(api, checkpointer=api.InMemorySaver()), []
    for name in ("checkpoints", "debug"):
        run = _run(graph, {"n": 1}, {"configurable": {"thread_id": name}}, transformers=_all(api))
        found.append(
            [(list(item), item.get("next"), item.get("type"), item.get("step")) for item in getattr(run, name)]
        )
    return found


def interleaved(api: Api) -> Any:
    return list(_run(_nested(api), {"n": 1}, transformers=_all(api)).interleave(*PROJECTIONS))


def read_by_several_tasks(api: Api) -> Any:
    async def program() -> Any:
        run = await _arun(_nested(api), {"n": 1}, transformers=_all(api))

        async def read(name: str) -> Any:
            return [item async for item in getattr(run, name)]

        found = await asyncio.gather(*map(read, PROJECTIONS))
        return found, await run.output(), await run.interrupts(), await run.interrupted()

    return asyncio.run(program())


def _look(handle: Any) -> Any:
    return handle.graph_name, len(handle.path), handle.status, handle.error


def runs_of_nested_graphs(api: Api) -> Any:
    """Into each as deep as it goes; and passed over."""
    run = _run(_nested(api), {"n": 1}, transformers=_all(api))
    found = []
    for handle in run.subgraphs:
        before = _look(handle)
        deeper = [
            (_look(below), list(below.interleave("values", "custom")), below.output) for below in handle.subgraphs
        ]
        found.append([before, deeper, list(handle.updates), handle.output, _look(handle)])
    passed = [handle for handle in _run(_nested(api), {"n": 1}).subgraphs]
    return found, run.output, [(_look(handle), handle.output) for handle in passed]


def async_runs_of_nested_graphs(api: Api) -> Any:
    async def program() -> Any:
        run = await _arun(_nested(api), {"n": 1}, transformers=_all(api))
        found = []
        async for handle in run.subgraphs:
            before = _look(handle)
            values = [value async for value in handle.values]
            found.append([before, values, await handle.output(), _look(handle)])
        return found, await run.output()

    return asyncio.run(program())


def questions(api: Api) -> Any:
    """Asked in a nested graph, and answered; asked beside each other."""

    def ask(state: State) -> State:
        return {"n": api.interrupt({"now": state["n"]})}

    inner = _graph(api, ("ask", ask))
    graph = _graph(api, ("a", _write(api)), ("inner", inner), ("b", _write(api)), checkpointer=api.InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    first = _run(graph, {"n": 1}, config, transformers=_all(api)[:2])
    asked = list(first.interleave("values", "lifecycle")), first.output, first.interrupted, first.interrupts
    second = _run(graph, api.Command(resume=5), config)
    answered = [_event(event) for event in second], second.output, second.interrupted
    handles = [_look(handle) for handle in [*_run(graph, {"n": 1}, config).subgraphs]]
    return asked, answered, handles


def stops(api: Api) -> Any:
    graph = _graph(api, ("a", _write(api)), ("b", _write(api)), checkpointer=api.InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    first = _run(graph, {"n": 1}, config, interrupt_before=["b"])
    second = _run(graph, None, config, interrupt_after="*")
    return [(list(run.values), run.output, run.interrupted, run.interrupts) for run in (first, second)]


class Refused(ValueError):
    pass


def _failing(library: Api) -> Any:
    def fail(state: State) -> State:
        raise Refused("no")

    return _graph(library, ("a", _write(library)), ("inner", _graph(library, ("x", _write(library)), ("fail", fail))))


def failures(api: Api) -> Any:
    """Every projection ends with the failure, of the nested graph too; so does whoever asks how it ended."""

    def read(get: Any) -> Any:
        run, seen = _run(_failing(api), {"n": 1}, transformers=_all(api)), []

        def all_of_it() -> Any:
            for item in get(run):
                seen.append(_look(item) if hasattr(item, "path") else item)

        ended = outcome(all_of_it)
        return (
            [item for item in seen if not isinstance(item, dict) or "error" not in item],
            ended,
            outcome(lambda: run.output),
        )

    found = [read(lambda run, name=name: getattr(run, name)) for name in ("values", "custom", "lifecycle", "subgraphs")]
    run = _run(_failing(api), {"n": 1})
    (handle,) = [handle for handle in [_first(run.subgraphs)]]
    inside = outcome(lambda: list(handle.values)), outcome(lambda: handle.output), _look(handle)
    return found, inside, outcome(lambda: run.interrupted), outcome(lambda: list(read(lambda run: run)[1:]))


def _first(items: Any) -> Any:
    return next(iter(items))


def async_failures(api: Api) -> Any:
    async def program() -> Any:
        run, seen = await _arun(_failing(api), {"n": 1}), []
        try:
            async for value in run.values:
                seen.append(value)
        except Refused as exc:
            seen.append(str(exc))
        try:
            await run.output()
        except Refused as exc:
            seen.append(str(exc))
        return seen

    return asyncio.run(program())


class Say(TypedDict):
    messages: Annotated[list[Any], lambda old, new: [*old, *new]]


def _talking(library: Api) -> Any:
    def call(state: Any) -> Any:
        model = GenericFakeChatModel(messages=iter([AIMessage("one two three")]))
        return {"messages": [model.invoke("say")]}

    async def acall(state: Any) -> Any:
        model = GenericFakeChatModel(messages=iter([AIMessage("four five")]))
        return {"messages": [await model.ainvoke("say")]}

    def whole(state: Any) -> Any:
        return {"messages": [ToolMessage("of a tool", tool_call_id="1", id="t"), AIMessage("whole", id="w")]}

    schema = library.MessagesState
    inner = _graph(library, ("call", call), schema=schema)
    return _graph(library, ("call", call), ("inner", inner), ("whole", whole), schema=schema), acall


def messages(api: Api) -> Any:
    """Token by token, of a nested graph too; whole ones that nodes return; none of tools."""
    graph, _ = _talking(api)
    run = _run(graph, {"messages": "hi"})
    found = [(type(m).__name__, m.node, list(m.text), str(m.text), m.output.content) for m in run.messages]
    nested = [[(m.node, list(m.text)) for m in handle.messages] for handle in _run(graph, {"messages": "hi"}).subgraphs]
    pieces = [
        _event(event)[4][0]
        for event in _run(graph, {"messages": "hi"})
        if event["method"] == "messages" and isinstance(event["params"]["data"][0], dict)
    ]
    return found, nested, pieces, [m.content for m in run.output["messages"]]


def async_messages(api: Api) -> Any:
    graph, acall = _talking(api)
    graph = _graph(api, ("acall", acall), schema=api.MessagesState)

    async def program() -> Any:
        run = await _arun(graph, {"messages": "hi"})
        found = []
        async for message in run.messages:
            tokens = [token async for token in message.text]
            found.append((type(message).__name__, message.node, tokens, (await message.output).content))
        return found

    return asyncio.run(program())


def a_reader_within_a_node(api: Api) -> Any:
    """A node that reads a graph's run, which is a part of its own."""
    inner = _graph(api, ("x", _write(api)), ("y", _write(api)))

    def reads(state: State) -> State:
        run = _run(inner, {"n": state["n"]})
        seen = list(run.values)
        return {"n": len(seen) * 100 + run.output["n"]}

    run = _run(_graph(api, ("reads", reads)), {"n": 1})
    return list(run.values), run.output


def _counting(library: Api) -> Any:
    stream = library.module("stream")

    class Counting(stream.StreamTransformer):  # type: ignore[misc,name-defined]
        required_stream_modes = ("updates", "custom")

        def __init__(self, scope: Any, start: int = 0) -> None:
            super().__init__(scope)
            self.start, self.count = start, {"updates": 0}
            self.named, self.own = stream.StreamChannel("counted"), stream.StreamChannel()

        def init(self) -> Any:
            return {"counted": self.named, "own": self.own, "count": self.count}

        def process(self, event: Any) -> bool:
            if event["method"] == "updates":
                self.count["updates"] += 1
                self.named.push(self.start + self.count["updates"])
                self.own.push((self.scope and self.scope[0].split(":")[0], list(event["params"]["data"])))
            return bool(event["method"] != "custom")

        def finalize(self) -> None:
            self.named.push("end")

    return Counting


def transformers_of_users(api: Api) -> Any:
    """Given to compile and to the call, as a class and as a function; its events, its projections, those of nested graphs."""
    counting = _counting(api)
    graph = _nested(api, transformers=[counting])
    run = _run(graph, {"n": 1})
    first = [_event(event) for event in run], dict(run.extensions["count"]), sorted(run.extensions)
    other = _run(_nested(api), {"n": 1}, transformers=[lambda scope: counting(scope, 10)])
    second = list(other.interleave("own", "counted"))
    handles = [list(handle.extensions["own"]) for handle in _run(graph, {"n": 1}).subgraphs]
    return first, second, handles, hasattr(run, "counted"), outcome(lambda: run.counted)


def async_transformers(api: Api) -> Any:
    """They wait for things, change events, and schedule work beside the run."""
    stream = api.module("stream")

    class Waiting(stream.StreamTransformer):  # type: ignore[misc,name-defined]
        required_stream_modes = ("custom",)
        before_builtins = True

        def __init__(self, scope: Any) -> None:
            super().__init__(scope)
            self.scores = stream.StreamChannel()

        def init(self) -> Any:
            return {"scores": self.scores}

        async def aprocess(self, event: Any) -> bool:
            await asyncio.sleep(0)
            if event["method"] == "custom":
                event["params"]["data"] = "changed"
                self.schedule(self.score())
            return True

        async def score(self) -> None:
            await asyncio.sleep(0)
            self.scores.push("scored")

    async def program() -> Any:
        graph = _graph(api, ("a", _write(api)), ("b", _write(api)))
        run = await _arun(graph, {"n": 1}, transformers=[Waiting, *_all(api)[:1]])
        scores, custom = aiter(run.extensions["scores"]), aiter(run.custom)
        output = await run.output()
        return [each async for each in scores], [each async for each in custom], output

    refused = outcome(lambda: _run(_graph(api, ("a", _write(api))), {"n": 1}, transformers=[Waiting]))
    return asyncio.run(program()), refused


def refusals(api: Api) -> Any:
    graph, counting, stream = _graph(api, ("a", _write(api))), _counting(api), api.module("stream")
    run = _run(graph, {"n": 1})
    iter(run.values)
    twice = [counting, lambda scope: counting(scope)]

    async def wrong_way() -> Any:
        return outcome(lambda: iter(_values)), outcome(lambda: aiter(run.messages))

    async def values_of() -> Any:
        return (await _arun(graph, {"n": 1})).values

    _values = asyncio.run(values_of())
    return [
        outcome(lambda: _run(graph, {"n": 1}, stream_mode="values")),
        outcome(lambda: _run(graph, {"n": 1}, subgraphs=True)),
        outcome(lambda: _run(graph, {"n": 1}, transformers=[counting(())])),
        outcome(lambda: _run(graph, {"n": 1}, transformers=[3])),
        outcome(lambda: _run(graph, {"n": 1}, transformers=twice)),
        outcome(lambda: iter(run.values)),
        outcome(lambda: run.values.tee(2)),
        outcome(lambda: list(run.interleave("nothing"))),
        outcome(lambda: list(run.interleave("values", "messages"))),
        outcome(lambda: run.checkpoints),
        outcome(lambda: stream.StreamChannel(maxlen=0)),
        outcome(lambda: iter(stream.StreamChannel())),
        asyncio.run(wrong_way()),
    ]


def tees(api: Api) -> Any:
    graph = _graph(api, ("a", _write(api)), ("b", _write(api)))
    first, second = _run(graph, {"n": 1}).values.tee(2)
    together = [(next(first), next(second)) for _ in range(2)], list(first), list(second)

    async def program() -> Any:
        branches = (await _arun(graph, {"n": 1})).values.atee(3)

        async def read(branch: Any) -> Any:
            return [value async for value in branch]

        return await asyncio.gather(*map(read, branches))

    return together, asyncio.run(program())


def left_early(api: Api) -> Any:
    """By abort, by ``with``, in the middle of a nested graph: no later node runs, and no OS thread is left."""
    ran: list[str] = []

    def late(state: State) -> State:
        ran.append("late")
        return {"n": 0}

    def graph() -> Any:
        return _graph(
            api, ("a", _write(api)), ("inner", _graph(api, ("x", _write(api)))), ("b", _write(api)), ("late", late)
        )

    before = threading.active_count()
    run = _run(graph(), {"n": 1})
    found = [next(iter(run.values))]
    run.abort()
    run.abort()
    with _run(graph(), {"n": 1}) as other:
        found += [_look(_first(other.subgraphs))]
    after = list(other.messages), list(run.messages), run.output
    wait_until(lambda: threading.active_count() <= before, what="OS threads end")
    return found, after, ran


def async_left_early(api: Api) -> Any:
    """A node that is being awaited is cancelled; no task is left."""
    ran: list[str] = []

    async def waits(state: State) -> State:
        ran.append("begun")
        try:
            await asyncio.sleep(60)
        finally:
            ran.append("cancelled")
        return {"n": 0}

    graph = _graph(api, ("a", _write(api)), ("inner", _graph(api, ("waits", waits))))

    async def program() -> Any:
        async with await _arun(graph, {"n": 1}) as run:
            seen = []
            async for value in run.values:
                seen.append(value)
                if value["n"] == 2:
                    break
            reader = asyncio.create_task(run.output())
            while not ran:
                await asyncio.sleep(0)
        await asyncio.wait({reader})
        others = asyncio.all_tasks() - {asyncio.current_task()}
        return seen, ran, len(others), [value async for value in run.messages]

    return asyncio.run(program())


def streams_in_place_of_a_graphs_own(api: Api) -> Any:
    """A program that puts another ``stream`` on a graph hears of every run that is read as an object."""
    graph = _graph(api, ("a", _write(api)))
    stream, asked = graph.stream, list[Any]()

    def ours(input: Any, config: Any = None, **options: Any) -> Any:
        asked.append([options[name] for name in ("control", "interrupt_before", "interrupt_after", "version")])
        yield from stream(input, config, **options)

    graph.stream = ours
    return _run(graph, {"n": 1}, interrupt_after=["a"]).output, asked
