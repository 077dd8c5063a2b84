"""Programs about declaring graphs: schemas of every kind, ways between nodes, what is refused."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypedDict

from pydantic import BaseModel

from tests.differential.harness import Api, outcome


class State(TypedDict):
    value: int
    log: Annotated[list[str], operator.add]


class Loose(TypedDict, total=False):
    value: int
    word: str
    log: Annotated[list[str], operator.add]
    tags: Annotated[set[str], operator.or_]
    many: Annotated[Sequence[int], operator.add]


class Input(TypedDict):
    value: int


class Output(TypedDict):
    log: list[str]


class Private(TypedDict):
    secret: str


@dataclass
class Record:
    value: int = 5
    word: str | None = None
    log: Annotated[list[str], operator.add] = field(default_factory=list)


class Model(BaseModel):
    value: int = 5
    word: str | None = None
    log: Annotated[list[str], operator.add] = []


def step(name: str, **update: Any) -> Any:
    def node(state: Any) -> Any:
        return {"log": [name], **update}

    return node


def line(api: Api, schema: Any, *nodes: Any, **options: Any) -> Any:
    builder = api.StateGraph(schema, **options)
    builder.add_sequence([(f"n{index}", node) for index, node in enumerate(nodes)])
    builder.add_edge(api.START, "n0")
    return builder


# ---------------------------------------------------------------- schemas


def typed_dict_views(api: Api) -> Any:
    """Keys without a value are absent; reducers' keys exist from the first superstep on."""
    seen: list[Any] = []

    def looking(state: Any) -> Any:
        seen.append(dict(state))

    def writing(state: Any) -> Any:
        seen.append(dict(state))
        return {"word": "x"}

    graph = line(api, Loose, looking, writing).compile()
    return graph.invoke({"value": 1}), graph.invoke({}), seen


def dataclass_views(api: Api) -> Any:
    """Defaults of the class show in the node's view, and are not written to the state."""
    seen: list[Any] = []

    def node(state: Record) -> Any:
        seen.append((type(state).__name__, state.value, state.word, list(state.log)))
        return {"word": "x"}

    graph = line(api, Record, node, node).compile()
    return graph.invoke({"log": ["in"]}), graph.invoke(Record(value=7)), seen


def pydantic_views(api: Api) -> Any:
    seen: list[Any] = []

    def node(state: Model) -> Any:
        seen.append((type(state).__name__, state.value, state.word, list(state.log)))
        return {"word": "x", "log": ["n"]}

    graph = line(api, Model, node, node).compile()
    return graph.invoke({"value": "3"}), graph.invoke(Model(value=7)), seen


def pydantic_validates_inputs_of_nodes(api: Api) -> Any:
    def bad(state: Model) -> Any:
        return {"value": "not a number"}

    graph = line(api, Model, bad, step("after")).compile()
    return outcome(lambda: graph.invoke({"value": 1})), outcome(lambda: graph.invoke({"value": "x"}))


def nodes_return_instances(api: Api) -> Any:
    graph = line(api, Record, lambda s: Record(value=9), lambda s: Record(word="w", log=["x"])).compile()
    models = line(api, Model, lambda s: Model(value=9), lambda s: Model(word="w", log=["x"])).compile()
    return graph.invoke({"value": 1, "word": "first"}), models.invoke({"value": 1, "word": "first"})


def root_state(api: Api) -> Any:
    merged = line(api, Annotated[list, operator.add], lambda s: [len(s)], lambda s: None, lambda s: [len(s)]).compile()
    single = line(api, int, lambda s: s + 1, lambda s: s * 2).compile()
    return (
        merged.invoke([0]),
        list(merged.stream([0])),
        list(merged.stream([0], stream_mode="values")),
        single.invoke(1),
        list(single.stream(1, stream_mode=["updates", "values"])),
    )


def input_and_output_schemas(api: Api) -> Any:
    graph = line(api, Loose, step("a", word="w"), input_schema=Input, output_schema=Output).compile()
    return (
        graph.invoke({"value": 1, "word": "dropped", "log": ["dropped"]}),
        list(graph.stream({"value": 1}, stream_mode="values")),
        list(graph.stream({"value": 1}, stream_mode="updates")),
        graph.invoke({"value": 1}, output_keys=["word"]),
        graph.invoke({"value": 1}, output_keys="word"),
        outcome(lambda: graph.invoke({"value": 1}, output_keys=["nothing"])),
    )


def private_channels(api: Api) -> Any:
    """A node's own view may have keys that the state has not; values streams show them, results do not."""

    def writes(state: State) -> Private:
        return {"secret": "s"}

    def reads(state: Private) -> Any:
        return {"log": [state["secret"]]}

    builder = api.StateGraph(State)
    builder.add_node(writes)
    builder.add_node(reads)
    builder.add_edge(api.START, "writes")
    builder.add_edge("writes", "reads")
    graph = builder.compile()
    return graph.invoke({"value": 1, "log": []}), list(graph.stream({"value": 1, "log": []}, stream_mode="values"))


def computed_values(api: Api) -> Any:
    seen: list[Any] = []

    class Managed(TypedDict):
        value: int
        left: api.RemainingSteps  # type: ignore[name-defined]
        last: api.IsLastStep  # type: ignore[name-defined]

    def node(state: Managed) -> Any:
        seen.append((state["left"], state["last"]))
        return {"value": state["value"] + 1}

    builder = api.StateGraph(Managed)
    builder.add_node("n", node)
    builder.add_edge(api.START, "n")
    builder.add_edge("n", "n")
    graph = builder.compile()
    return outcome(lambda: graph.invoke({"value": 0}, {"recursion_limit": 4})), seen


def overwriting(api: Api) -> Any:
    def fan(*updates: Any) -> Any:
        builder = api.StateGraph(State)
        for index, update in enumerate(updates):
            builder.add_node(f"n{index}", lambda s, update=update: {"log": update})
            builder.add_edge(api.START, f"n{index}")
        return outcome(lambda: builder.compile().invoke({"value": 1, "log": ["in"]})["log"])

    over = api.Overwrite
    return (
        fan(over(["a"])),
        fan(over(["a"]), ["b"]),
        fan(["a"], over(["b"])),
        fan(["a"], over(["b"]), ["c"]),
        fan(over(["a"]), over(["b"])),
        fan({"__overwrite__": ["z"]}, ["y"]),
    )


def schema_mistakes(api: Api) -> Any:
    class Bad(TypedDict):
        value: Annotated[int, lambda left: left]

    class Other(TypedDict):
        log: Annotated[list[str], lambda left, right, third: left]

    def managed_output() -> Any:
        class Managed(TypedDict):
            left: api.RemainingSteps  # type: ignore[name-defined]

        return api.StateGraph(State, output_schema=Managed)

    def added(left: list[str], right: list[str]) -> list[str]:
        return left + right

    class Reduced(TypedDict):
        log: Annotated[list[str], added]

    def state(schema: Any) -> Any:
        return outcome(lambda: api.StateGraph(schema) and None)

    return [
        *map(state, (Bad, Other, {"a": int}, [int])),
        outcome(managed_output),
        outcome(lambda: api.StateGraph(State, input_schema=Reduced) and None),
    ]


# ---------------------------------------------------------------- ways


def parallel_writes_are_applied_by_name(api: Api) -> Any:
    builder = api.StateGraph(State)
    for name in ("z", "a", "m"):
        builder.add_node(name, step(name))
        builder.add_edge(api.START, name)
    return builder.compile().invoke({"value": 0, "log": []})


def two_edges_fire_twice_a_list_once(api: Api) -> Any:
    def make(join: bool) -> Any:
        builder = api.StateGraph(State)
        for name in ("a", "b", "b2", "end"):
            builder.add_node(name, step(name))
        builder.add_edge(api.START, "a")
        builder.add_edge(api.START, "b")
        builder.add_edge("b", "b2")
        if join:
            builder.add_edge(["a", "b2"], "end")
        else:
            builder.add_edge("a", "end")
            builder.add_edge("b2", "end")
        return builder.compile().invoke({"value": 0, "log": []})["log"]

    return make(True), make(False)


def a_join_in_a_loop_arms_again(api: Api) -> Any:
    builder = api.StateGraph(State)
    for name in ("a", "b"):
        builder.add_node(name, step(name))
        builder.add_edge(api.START, name)
    builder.add_node("c", lambda s: {"log": ["c"], "value": s["value"] + 1})
    builder.add_edge(["a", "b"], "c")
    builder.add_conditional_edges("c", lambda s: ["a", "b"] if s["value"] < 3 else api.END, ["a", "b", api.END])
    return builder.compile().invoke({"value": 0, "log": []})


def deferred_nodes(api: Api) -> Any:
    builder = api.StateGraph(State)
    for name in ("a", "b", "b2", "c"):
        builder.add_node(name, step(name))
    builder.add_node("d", step("d"), defer=True)
    builder.add_node("e", step("e"), defer=True)
    builder.add_edge(api.START, "a")
    builder.add_edge(api.START, "b")
    builder.add_edge("a", "d")
    builder.add_edge("b", "b2")
    builder.add_edge("b2", "d")
    builder.add_edge("d", "c")
    builder.add_edge(["a", "b2"], "e")
    graph = builder.compile()
    return graph.invoke({"value": 0, "log": []}), list(graph.stream({"value": 0, "log": []}, stream_mode="values"))


def conditional_edges(api: Api) -> Any:
    def run(path: Any, path_map: Any = None) -> Any:
        builder = api.StateGraph(State)
        for name in ("a", "b", "c"):
            builder.add_node(name, step(name))
        builder.add_edge(api.START, "a")
        builder.add_conditional_edges("a", path, path_map)
        return outcome(lambda: builder.compile().invoke({"value": 1, "log": []})["log"])

    def literal(state: State) -> Literal["b", "c"]:
        return "c"

    async def awaited(state: State) -> str:
        return "b"

    return (
        run(lambda s: "b"),
        run(lambda s: ["b", "c"]),
        run(lambda s: ("c",)),
        run(lambda s: api.END),
        run(lambda s: []),
        run(lambda s: "x", {"x": "b"}),
        run(lambda s: True, {True: "b", False: "c"}),
        run(lambda s: "b", ["b"]),
        run(lambda s: "y", {"x": "b"}),
        run(lambda s: None),
        run(lambda s: api.START),
        run(lambda s: api.Send(api.END, 1)),
        run(lambda s: [api.Send("b", {"value": 9}), "c"]),
        run(literal),
        run(awaited),
    )


def a_branch_sees_its_own_nodes_writes_only(api: Api) -> Any:
    seen: list[Any] = []

    def path(state: Any) -> str:
        seen.append(dict(state))
        return str(api.END)

    builder = api.StateGraph(State)
    builder.add_node("a", step("a", value=5))
    builder.add_node("b", step("b"))
    builder.add_edge(api.START, "a")
    builder.add_edge(api.START, "b")
    builder.add_conditional_edges("a", path)
    return builder.compile().invoke({"value": 0, "log": ["in"]}), seen


def a_branch_sees_what_its_node_returned_beyond_the_state(api: Api) -> Any:
    builder = api.StateGraph(State)
    builder.add_node("a", lambda s: {"log": ["a"], "route": "b"})
    builder.add_node("b", step("b"))
    builder.add_edge(api.START, "a")
    builder.add_conditional_edges("a", lambda s: s["route"])
    return builder.compile().invoke({"value": 0, "log": []})


def sends(api: Api) -> Any:
    seen: list[Any] = []

    def work(arg: Any) -> Any:
        seen.append(arg)
        return {"log": [repr(arg)]}

    builder = api.StateGraph(State)
    builder.add_node("a", lambda s: None)
    builder.add_node("work", work)
    builder.add_edge(api.START, "a")
    builder.add_conditional_edges("a", lambda s: [api.Send("work", arg) for arg in (1, "x", [2], {"k": 3}, None)])
    graph = builder.compile()
    result = graph.invoke({"value": 0, "log": []})
    return result, sorted(map(repr, seen)), list(graph.stream({"value": 0, "log": []}, stream_mode="values"))


def sends_beside_plain_nodes(api: Api) -> Any:
    """Plain nodes are applied before Sends, Sends in the order of their senders."""
    builder = api.StateGraph(State)
    builder.add_node("b", lambda s: api.Command(goto=[api.Send("w", "b0"), api.Send("w", "b1")]))
    builder.add_node("a", lambda s: api.Command(goto=[api.Send("w", "a0"), "z"], update={"log": ["a"]}))
    builder.add_node("w", lambda arg: {"log": [arg]})
    builder.add_node("z", step("z"))
    builder.add_edge(api.START, "a")
    builder.add_edge(api.START, "b")
    return builder.compile().invoke({"value": 0, "log": []})["log"]


def commands(api: Api) -> Any:
    def run(output: Any) -> Any:
        builder = api.StateGraph(State)
        builder.add_node("a", lambda s: output)
        builder.add_node("b", step("b"))
        builder.add_node("c", step("c"))
        builder.add_edge(api.START, "a")
        builder.add_edge("a", "c")
        return outcome(lambda: builder.compile().invoke({"value": 1, "log": []}))

    command = api.Command
    return (
        run(command(goto="b")),
        run(command(update={"value": 2})),
        run(command(update=[("log", ["x"]), ("log", ["y"])], goto=["b"])),
        run(command(update=Record(value=3, log=["r"]))),
        run(command(goto=api.END)),
        run([command(update={"log": ["1"]}, goto="b"), {"log": ["2"]}]),
        run((command(update={"log": ["1"]}), command(update={"log": ["2"]}, goto="b"))),
        run(command(goto=[api.Send("b", {"value": 1}), "b"])),
        run(api.Send("b", {"value": 1})),
        run(command(graph=command.PARENT, update={"value": 5})),
    )


def node_results(api: Api) -> Any:
    def run(output: Any) -> Any:
        return outcome(lambda: line(api, State, lambda s: output).compile().invoke({"value": 1, "log": []}))

    return [run(output) for output in (None, {}, {"value": 2}, {"unknown": 1}, [], "text", 5, [{"value": 1}], object())]


def generators(api: Api) -> Any:
    def generating(state: State) -> Any:
        yield {"value": 1}
        yield {"value": 2, "log": ["g"]}

    return line(api, State, generating).compile().invoke({"value": 0, "log": []})


def callables(api: Api) -> Any:
    from functools import partial

    class Worker:
        def __call__(self, state: State) -> Any:
            return {"log": ["worker"]}

        def method(self, state: State) -> Any:
            return {"log": ["method"]}

    def added(state: State, *, word: str) -> Any:
        return {"log": [word]}

    builder = api.StateGraph(State)
    builder.add_node(Worker())
    builder.add_node(Worker().method)
    builder.add_node("partial", partial(added, word="partial"))
    builder.add_edge(api.START, "Worker")
    builder.add_edge("Worker", "method")
    builder.add_edge("method", "partial")
    return builder.compile().invoke({"value": 0, "log": []})


# ---------------------------------------------------------------- what is refused


def builder_mistakes(api: Api) -> Any:
    def on(call: Any) -> Any:
        builder = api.StateGraph(State)
        builder.add_node("a", step("a"))
        return outcome(lambda: call(builder) and None)

    return [
        on(lambda b: b.add_node("a", step("a"))),
        on(lambda b: b.add_node(api.START, step("a"))),
        on(lambda b: b.add_node("x:y", step("a"))),
        on(lambda b: b.add_node("x|y", step("a"))),
        on(lambda b: b.add_node("x")),
        on(lambda b: b.add_edge(api.END, "a")),
        on(lambda b: b.add_edge("a", api.START)),
        on(lambda b: b.add_edge(["a", "x"], "a")),
        on(lambda b: b.add_edge(["a"], "x")),
        on(lambda b: b.add_edge([api.START, "a"], "a")),
        on(lambda b: b.add_sequence([])),
        on(lambda b: b.add_sequence([("a", step("a"))])),
        on(lambda b: b.add_conditional_edges("a", node_results).add_conditional_edges("a", node_results)),
    ]


def compile_mistakes(api: Api) -> Any:
    def on(change: Any, **options: Any) -> Any:
        builder = api.StateGraph(State)
        builder.add_node("a", step("a"))
        change(builder)
        return outcome(lambda: builder.compile(**options) and None)

    def entry(builder: Any) -> Any:
        return builder.add_edge(api.START, "a")

    return [
        on(lambda b: None),
        on(lambda b: b.add_edge(api.START, "x")),
        on(lambda b: entry(b).add_edge("x", "a")),
        on(lambda b: entry(b).add_edge("a", "x")),
        on(lambda b: entry(b).add_conditional_edges("a", lambda s: "x", ["x"])),
        on(lambda b: entry(b).add_conditional_edges("x", lambda s: "a")),
        on(lambda b: entry(b).add_node("c", step("c"), destinations=("x",))),
        on(entry, interrupt_before=["x"]),
        on(entry, interrupt_after=["x"]),
        on(entry, checkpointer=3),
        on(lambda b: entry(b).add_node("c", step("c"), timeout=1)),
        on(lambda b: entry(b).add_node("__input__", step("c"))),
        on(entry),
    ]


def drawings(api: Api) -> Any:
    def routed(state: State) -> Literal["b", "c"]:
        return "b"

    def commanding(state: State) -> api.Command[Literal["b", "__end__"]]:  # type: ignore[name-defined]
        return api.Command(goto="b")

    inner = api.StateGraph(State).add_node("x", step("x")).add_node("y", step("y"))
    inner.add_edge(api.START, "x").add_edge("x", "y")
    builder = api.StateGraph(State)
    builder.add_node("a", step("a"), metadata={"owner": "me", "nested": {"no": 1}, "list": ["x", 1]})
    builder.add_node("b", step("b"), destinations={"c": "why not"})
    builder.add_node("c", step("c"), defer=True)
    builder.add_node("commanding", commanding)
    builder.add_node("nested", inner.compile())
    builder.add_edge(api.START, "a")
    builder.add_conditional_edges("a", routed)
    builder.add_conditional_edges(
        "b", lambda s: 1, {1: "commanding", "a rather long label of more than nine words it is": api.END}
    )
    builder.add_edge(["c", "b"], "nested")
    graph = builder.compile(interrupt_before=["b"], interrupt_after=["b", "c"])
    pictures = [graph.get_graph(), graph.get_graph(xray=True)]
    return (
        [(list(picture.nodes), [tuple(edge) for edge in picture.edges]) for picture in pictures],
        [picture.draw_mermaid() for picture in pictures],
        [picture.draw_mermaid(with_styles=False) for picture in pictures],
        pictures[0].to_json()["edges"],
    )
