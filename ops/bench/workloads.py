"""The work itself, the same for all who have this API: StateGraph, START, END, Send, InMemorySaver."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import field, make_dataclass
from operator import add, or_
from types import SimpleNamespace
from typing import Annotated, Any, NamedTuple, TypedDict

from ops.bench.common import Skip

Node = Callable[[Any], Any]
#: Makes a node of a function: itself, or a coroutine function.
Wrap = Callable[[Node], Any]


def api_of(engine: str) -> SimpleNamespace:
    """The names a workload needs, from ``distgraph`` or from ``langgraph``."""
    if engine == "langgraph":
        try:
            from langgraph.checkpoint.memory import InMemorySaver as PeerSaver
            from langgraph.graph import END, START, StateGraph
            from langgraph.types import Send
        except ImportError as missing:
            raise Skip(str(missing)) from None
        return SimpleNamespace(StateGraph=StateGraph, START=START, END=END, Send=Send, InMemorySaver=PeerSaver)
    from distgraph import graph, types
    from distgraph.checkpoint.memory import InMemorySaver

    return SimpleNamespace(
        StateGraph=graph.StateGraph, START=graph.START, END=graph.END, Send=types.Send, InMemorySaver=InMemorySaver
    )


def awaited(node: Node) -> Callable[[Any], Awaitable[Any]]:
    """The node as a coroutine function."""

    async def run(state: Any) -> Any:
        return node(state)

    return run


class Work(NamedTuple):
    """Something to run in one process.

    Attributes:
        build: (api, n, wrap) -> a builder.
        given: n -> input.
        share: n -> what a run's time is divided by: supersteps of a chain, nodes of a fan-out.
        right: (output, n) -> whether the result is as it should be.
    """

    build: Callable[[Any, int, Wrap], Any]
    given: Callable[[int], dict[str, Any]]
    share: Callable[[int], int]
    right: Callable[[dict[str, Any], int], bool]


# ------------------------------------------------------------------ a chain, and a loop


class Messages(TypedDict):
    """A list that nobody appends to: the cost is the engine's own."""

    messages: Annotated[list[str], add]


class Counter(TypedDict):
    """A number."""

    count: int


def _chain(api: Any, n: int, wrap: Wrap) -> Any:
    builder, last = api.StateGraph(Messages), api.START
    node = wrap(lambda _: None)
    for index in range(n):
        builder.add_node(f"n{index}", node)
        builder.add_edge(last, f"n{index}")
        last = f"n{index}"
    builder.add_edge(last, api.END)
    return builder


def _loop(api: Any, n: int, wrap: Wrap) -> Any:
    builder = api.StateGraph(Counter)
    builder.add_node("up", wrap(lambda state: {"count": state["count"] + 1}))
    builder.add_edge(api.START, "up")
    builder.add_conditional_edges("up", lambda state: "up" if state["count"] < n else api.END, ["up", api.END])
    return builder


# ------------------------------------------------------------------ wide: n nodes, n Sends, n nested graphs


class Sums(TypedDict):
    """Parts and their number."""

    parts: Annotated[list[int], add]
    total: int


def _count(state: Any) -> dict[str, int]:
    return {"total": len(state["parts"])}


def _part(index: int) -> Node:
    return lambda _: {"parts": [index]}


def _fan_out(api: Any, n: int, wrap: Wrap) -> Any:
    builder = api.StateGraph(Sums)
    builder.add_node("source", wrap(lambda _: {"total": 0}))
    builder.add_node("join", wrap(_count))
    builder.add_edge(api.START, "source")
    names = [f"w{index}" for index in range(n)]
    for index, name in enumerate(names):
        builder.add_node(name, wrap(_part(index)))
        builder.add_edge("source", name)
    builder.add_edge(names, "join")
    builder.add_edge("join", api.END)
    return builder


def _sends(api: Any, n: int, wrap: Wrap) -> Any:
    builder = api.StateGraph(Sums)
    builder.add_node("work", wrap(lambda item: {"parts": [item["index"]]}))
    builder.add_node("join", wrap(_count))
    builder.add_conditional_edges(
        api.START, lambda _: [api.Send("work", {"index": index}) for index in range(n)], ["work"]
    )
    builder.add_edge("work", "join")
    builder.add_edge("join", api.END)
    return builder


class Story(TypedDict):
    """The state of a nested graph."""

    subject: str
    lines: list[str]


class Stories(TypedDict):
    """The state of the graph around it."""

    subjects: list[str]
    lines: Annotated[list[str], add]


class Lines(TypedDict):
    """What a nested graph gives back."""

    lines: list[str]


#: Rounds of the nested graph's loop, which comes after two nodes.
ROUNDS = 10


def _nested(api: Any, n: int, wrap: Wrap) -> Any:
    inner = api.StateGraph(Story, output_schema=Lines)
    inner.add_node("title", wrap(lambda state: {"subject": state["subject"].strip()}))
    inner.add_node("begin", wrap(lambda state: {"lines": ["On " + state["subject"]]}))
    inner.add_node("polish", wrap(lambda state: {"lines": [state["lines"][0] + "."]}))
    inner.add_edge(api.START, "title")
    inner.add_edge("title", "begin")
    inner.add_edge("begin", "polish")
    ready = "." * ROUNDS
    inner.add_conditional_edges(
        "polish", lambda state: api.END if state["lines"][0].endswith(ready) else "polish", ["polish", api.END]
    )
    builder = api.StateGraph(Stories)
    builder.add_node("story", inner.compile())
    builder.add_conditional_edges(
        api.START, lambda state: [api.Send("story", {"subject": subject}) for subject in state["subjects"]], ["story"]
    )
    builder.add_edge("story", api.END)
    return builder


# ------------------------------------------------------------------ much state: 6 growing lists, 6 dicts, 4 texts

#: Rounds of five supersteps; in each round every list grows by its share.
CYCLES = 6
_LISTS, _DICTS, _TEXTS = [f"l{i}" for i in range(6)], [f"d{i}" for i in range(6)], [f"t{i}" for i in range(4)]


def _wide_dataclass() -> type:
    lists: list[Any] = [(name, Annotated[list[Any], add], field(default_factory=list)) for name in _LISTS]
    dicts: list[Any] = [(name, Annotated[dict[str, Any], or_], field(default_factory=dict)) for name in _DICTS]
    return make_dataclass("WideState", [*lists, *dicts, *((name, str, "") for name in _TEXTS)])


def _wide_model() -> type:
    from pydantic import Field, create_model

    fields: dict[str, Any] = {name: (Annotated[list[Any], add], Field(default_factory=list)) for name in _LISTS}
    fields |= {name: (Annotated[dict[str, Any], or_], Field(default_factory=dict)) for name in _DICTS}
    fields |= dict.fromkeys(_TEXTS, (str, ""))
    model: type = create_model("WideModel", **fields)
    return model


def _message() -> dict[str, Any]:
    return {f"key-{i}": {f"part-{j}": ["hi?" * 4, True, 1, 6327816386138, None] for j in range(5)} for i in range(3)}


def _wide(schema: Callable[[], type]) -> Callable[[Any, int, Wrap], Any]:
    def build(api: Any, n: int, wrap: Wrap) -> Any:
        grow = n // CYCLES
        nodes: dict[str, Node] = {
            "collect": lambda s: {"l1": [s.l0[-1]] * grow, "t0": "a" * grow},
            "note": lambda s: {"d0": {"last": s.l1[-1]}, "d1": {"size": len(s.l1)}},
            "left": lambda s: {"l2": [s.d0["last"]] * grow},
            "right": lambda s: {name: [s.l1[-1]] * grow for name in ("l3", "l4", "l5")},
            "merge": lambda s: {
                **{name: {"last": s.l3[-1], "size": len(s.l4)} for name in ("d2", "d3", "d4", "d5")},
                **{"t1": "b" * grow, "t2": "c" * grow},
            },
            "feed": lambda s: {"l0": [s.l4[-1]] * grow, "t3": "d" * grow},
        }
        builder = api.StateGraph(schema())
        for name, node in nodes.items():
            builder.add_node(name, wrap(node))
        edges = [(api.START, "collect"), ("collect", "note"), ("note", "left"), ("note", "right"), ("merge", "feed")]
        for source, target in edges:
            builder.add_edge(source, target)
        builder.add_edge(["left", "right"], "merge")
        builder.add_conditional_edges("feed", lambda s: api.END if len(s.l0) > n else "collect", ["collect", api.END])
        return builder

    return build


def _wide_work(schema: Callable[[], type]) -> Work:
    return Work(
        _wide(schema), lambda _: {"l0": [_message()]}, lambda _: 5 * CYCLES, lambda out, n: len(out["l0"]) == n + 1
    )


WORKS = {
    "sequential": Work(_chain, lambda _: {"messages": []}, lambda n: n, lambda out, _: out["messages"] == []),
    "loop": Work(_loop, lambda _: {"count": 0}, lambda n: n, lambda out, n: out["count"] == n),
    "fanout": Work(_fan_out, lambda _: {"parts": [], "total": 0}, lambda n: n + 2, lambda out, n: out["total"] == n),
    "send": Work(_sends, lambda _: {"parts": [], "total": 0}, lambda n: n + 1, lambda out, n: out["total"] == n),
    "wide": _wide_work(_wide_dataclass),
    "pydantic": _wide_work(_wide_model),
    "subgraph": Work(
        _nested,
        lambda n: {"subjects": [f"{index} " + "x" * 1000 for index in range(n)]},
        lambda n: n * (2 + ROUNDS),
        lambda out, n: len(out["lines"]) == n,
    ),
}

# ------------------------------------------------------------------ a batch: items of about 1 KB, five supersteps

ITEM_STEPS = 5


class Item(TypedDict):
    """About 1 KB."""

    x: int
    log: Annotated[list[int], add]
    blob: str


def item(index: int, size: int = 950) -> dict[str, Any]:
    """One item's input, with a text of ``size`` characters in it."""
    return {"x": index, "log": [], "blob": "b" * size}


def item_step(state: Any) -> dict[str, Any]:
    """One superstep of an item: what it changes."""
    return {"x": state["x"] + 1, "log": [state["x"]]}


def item_step_merged(state: dict[str, Any]) -> dict[str, Any]:
    """The same for those who hand on the whole state."""
    return {**state, "x": state["x"] + 1, "log": [*state["log"], state["x"]]}


def batch_graph(api: Any) -> Any:
    """Five nodes, one after the other."""
    builder, last = api.StateGraph(Item), api.START
    for index in range(ITEM_STEPS):
        builder.add_node(f"s{index}", item_step)
        builder.add_edge(last, f"s{index}")
        last = f"s{index}"
    builder.add_edge(last, api.END)
    return builder


# ------------------------------------------------------------------ a barrier: n tasks that do nothing, then a join


class Rounds(TypedDict):
    """Rounds still to go, tasks of each, and when each round was joined (seconds since the epoch)."""

    left: int
    width: int
    marks: Annotated[list[float], add]


def _joined(state: Any) -> dict[str, Any]:
    from time import time

    return {"left": state["left"] - 1, "marks": [time()]}


def barrier_graph(api: Any) -> Any:
    """Rounds of ``width`` no-op Sends and a join."""

    def fan(state: Any) -> Any:
        return [api.Send("work", {"index": i}) for i in range(state["width"])] if state["left"] > 0 else api.END

    builder = api.StateGraph(Rounds)
    builder.add_node("work", lambda _: None)
    builder.add_node("join", _joined)
    builder.add_conditional_edges(api.START, fan, ["work", api.END])
    builder.add_edge("work", "join")
    builder.add_conditional_edges("join", fan, ["work", api.END])
    return builder


# ------------------------------------------------------------------ CPU


class Burn(TypedDict):
    """How much, and what came of it."""

    loops: int
    out: int


def burn(loops: int) -> int:
    """CPU work in pure Python."""
    value = 1
    for index in range(loops):
        value = (value * 1103515245 + index) & 0x7FFFFFFF
    return value


def cpu_graph(api: Any) -> Any:
    """One node that burns."""
    builder = api.StateGraph(Burn)
    builder.add_node("burn", lambda state: {"out": burn(state["loops"])})
    builder.add_edge(api.START, "burn")
    builder.add_edge("burn", api.END)
    return builder
