"""Small graphs for small tests, and a count of what their nodes did."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

from distgraph import END, START, StateGraph
from distgraph.cluster.hints import NodeHint
from distgraph.testing import InProcessCluster
from distgraph.types import Send, interrupt

Update = dict[str, Any]


class State(TypedDict, total=False):
    x: int
    trail: Annotated[list[str], operator.add]


class Counted:
    """A node that counts its calls and notes them in the trail; ``does`` may fail, ask or die."""

    def __init__(self, name: str, does: Callable[[Any], Any] = lambda state: None) -> None:
        self.name, self.does, self.calls = name, does, 0

    def __call__(self, state: State) -> Any:
        self.calls += 1
        answer = self.does(state)
        return {"trail": [self.name if answer is None else f"{self.name}:{answer}"]}


def chain(*nodes: Counted, name: str = "chain", **options: Any) -> Any:
    """START -> one after the other -> END; ``options`` go to every node."""
    builder = StateGraph(State)
    for node in nodes:
        builder.add_node(node.name, node, **options)
    for before, after in zip(
        [START, *(node.name for node in nodes)], [*(node.name for node in nodes), END], strict=True
    ):
        builder.add_edge(before, after)
    return builder.compile(name=name)


def fan(*arms: Counted, name: str = "fan", **options: Any) -> Any:
    """START -> all arms side by side -> join -> END."""
    builder = StateGraph(State).add_node("join", Counted("join"))
    for arm in arms:
        builder.add_node(arm.name, arm, **options)
        builder.add_edge(START, arm.name)
    builder.add_edge([arm.name for arm in arms], "join")
    return builder.add_edge("join", END).compile(name=name)


def skipping(*, optional: bool = False) -> Any:
    """START -> a, and b unless x is odd -> join -> END."""
    builder = StateGraph(State)
    for name in ("a", "b", "join"):
        builder.add_node(name, Counted(name))
    builder.add_conditional_edges(START, lambda state: ["a"] if state["x"] % 2 else ["a", "b"], ["a", "b"])
    return builder.add_edge(["a", "b"], "join", optional=optional).compile(name="skipping")


def wide(work: Counted, width: int, name: str = "wide") -> Any:
    """START -> `width` tasks of one node -> END."""
    builder = StateGraph(State).add_node(work.name, work)
    builder.add_conditional_edges(START, lambda state: [Send(work.name, {"x": at}) for at in range(width)], [work.name])
    return builder.add_edge(work.name, END).compile(name=name)


def ask(question: str) -> Callable[[Any], Any]:
    """What a node does that asks a person."""
    return lambda state: interrupt(question)


def cluster_of(*graphs: Any, **options: Any) -> InProcessCluster:
    """An in-process cluster of these graphs."""
    return InProcessCluster(graphs, **options)


def offered(cluster: InProcessCluster) -> list[NodeHint]:
    """The hints of tasks on their way."""
    return [hint for hint in cluster.broker.hints() if isinstance(hint, NodeHint)]
