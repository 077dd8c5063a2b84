"""Random graphs, built from `plans` with whatever API is given: the very same graph on the peer and on distgraph.

`make(seed)` gives the compiled graph, `inputs(seed)` an input for it. Nodes are pure; what they write depends on what
they see, so that one update too many, too few or out of order changes everything after it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from random import Random
from typing import Annotated, Any, NamedTuple, TypedDict

from tests.graphs.plans import END, Node, Plan, Route, plan

MODULUS = 10_007


def add_counts(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in {**left, **right}}


def last_wins(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return {**left, **right}


def fold(left: int, right: int) -> int:
    """Order matters: no two orders of writes give the same number (but for collisions)."""
    return (31 * left + right) % MODULUS


class State(TypedDict, total=False):
    seen: Annotated[list[str], operator.add]
    total: Annotated[int, operator.add]
    tally: Annotated[dict[str, int], add_counts]  # node -> how often it ran
    latest: Annotated[dict[str, int], last_wins]
    names: Annotated[set[str], operator.or_]
    fold: Annotated[int, fold]
    word: str  # last value: one writer


class Api(NamedTuple):
    """What a graph is built with."""

    StateGraph: Any
    START: str
    END: str
    Send: Any
    Command: Any


class Graphs(dict[int, Any]):
    """Graphs by seed, built when first asked for."""

    def __missing__(self, seed: int) -> Any:
        self[seed] = make(seed)
        return self[seed]


def distgraph_api() -> Api:
    from distgraph import END, START, StateGraph
    from distgraph.types import Command, Send

    return Api(StateGraph, START, END, Send, Command)


def make(seed: int, api: Api | None = None) -> Any:
    """Graph number `seed`, compiled under the name ``random_<seed>``, on distgraph unless `api` says otherwise."""
    return build(plan(seed), api or distgraph_api()).compile(name=f"random_{seed}")


def inputs(seed: int) -> dict[str, Any]:
    """An input for graph number `seed`; some channels are left to their defaults."""
    random = Random(f"input {seed}")
    values: dict[str, Any] = {
        "total": random.randrange(100),
        "seen": ["input"],
        "latest": {"input": random.randrange(100)},
        "names": {"input"},
        "fold": random.randrange(100),
        "word": "input",
    }
    return {"total": values["total"]} | {key: value for key, value in values.items() if random.random() < 0.5}


#: (node, its action) -> what is added in its place, and more arguments of ``add_node``.
Dress = Callable[[Node, Callable[[Any], Any]], tuple[Any, dict[str, Any]]]


def plainly(node: Node, action: Callable[[Any], Any]) -> tuple[Any, dict[str, Any]]:
    return action, {}


def build(planned: Plan, api: Api, dress: Dress = plainly) -> Any:
    """The builder of a planned graph."""
    builder = api.StateGraph(State)
    for node in planned.nodes.values():
        route = planned.routes.get(node.name)
        commanded = route if route is not None and route.how != "edge" else None
        destinations = {"destinations": tuple(_reachable(commanded))} if commanded else {}
        action, more = dress(node, _action(node, commanded, planned, api))
        builder.add_node(node.name, action, defer=node.defer, **destinations, **more)
    for source, target in planned.edges:
        builder.add_edge(source, target)
    for sources, target in planned.joins:
        builder.add_edge(sources, target)
    for name, route in planned.routes.items():
        if route.how == "edge":
            builder.add_conditional_edges(name, _path(name, route, planned, api), _path_map(route))
    return builder


# ---------------------------------------------------------------- what nodes do


def observe(view: Any) -> int:
    """One number for all that a node sees: the state, or what a Send carried (a number, a list or a dict)."""
    if isinstance(view, int):
        return view
    if isinstance(view, list):
        return sum(view)
    if "load" in view:
        return int(view["load"])
    latest = sum(view.get("latest", {}).values())
    return int(view.get("total", 0) + 7 * len(view.get("seen", [])) + view.get("fold", 0) + 3 * latest)


def _action(node: Node, route: Route | None, planned: Plan, api: Api) -> Callable[[Any], Any]:
    def action(view: Any) -> Any:
        update = _update(node, observe(view))
        if route is None:
            return update
        goto = _choose(node.name, route, planned, api, view)
        if route.how == "list":
            return [update, api.Command(goto=goto)]
        return api.Command(update=update, goto=goto)

    return action


def _update(node: Node, base: int) -> dict[str, Any]:
    number = (base * 17 + node.salt) % MODULUS
    values: dict[str, Any] = {
        "seen": [f"{node.name}:{number}"],
        "total": number % 13,
        "latest": {"xyz"[number % 3]: number, node.name: number},
        "names": {node.name, f"n{number % 5}"},
        "fold": number,
    }
    update = {channel: values[channel] for channel in node.writes}
    update["tally"] = {node.name: 1}
    if node.owns_word:
        update["word"] = f"{node.name}:{number}"
    return update


# ---------------------------------------------------------------- where they lead


def _path(name: str, route: Route, planned: Plan, api: Api) -> Callable[[Any], Any]:
    def path(view: Any) -> Any:
        chosen = _choose(name, route, planned, api, view)
        if route.labels != "dict":
            return chosen
        return [f"to {target}" if isinstance(target, str) else target for target in chosen]

    return path


def _path_map(route: Route) -> list[str] | dict[str, str] | None:
    if route.labels == "none":
        return None
    names = _reachable(route)
    return names if route.labels == "list" else {f"to {name}": name for name in names}


def _reachable(route: Route) -> list[str]:
    return list(dict.fromkeys([*route.targets, *([route.back] if route.back else [])]))


def _choose(name: str, route: Route, planned: Plan, api: Api, view: Any) -> list[Any]:
    """Names and Sends, decided by what the node sees (a conditional edge also sees what the node just wrote)."""
    number = (observe(view) * 13 + route.salt) % MODULUS
    if route.kind == "loop":
        return [route.back] if _runs(name, route, view) < route.limit else list(route.targets)
    if route.kind in ("send", "mixed"):
        return _sends(route, planned, api, number)
    if route.salt < 0:
        return list(route.targets)
    first = number % len(route.targets)
    if route.kind == "pick":
        return [route.targets[first]]
    chosen = [target for bit, target in enumerate(route.targets) if number >> bit & 1 or bit == first]
    return chosen if END not in chosen else [target for target in chosen if target != END] or [END]


def _runs(name: str, route: Route, view: Any) -> int:
    """How often the node ran, this time included."""
    # a Command is made before its own update is applied, a conditional edge sees it applied
    return int(view.get("tally", {}).get(name, 0)) + (route.how != "edge")


def _sends(route: Route, planned: Plan, api: Api, number: int) -> list[Any]:
    mapped = [target for target in route.targets if target in planned.mapped]
    beside = [target for target in route.targets if target not in planned.mapped]
    loads = [(number + 101 * index) % 997 for index in range(1 + number % 4)]
    sends = [
        api.Send(mapped[index % len(mapped)], (load, [load, index], {"load": load})[(load + route.salt) % 3])
        for index, load in enumerate(loads)
    ]
    return [*sends, *beside] if number % 2 else [*beside, *sends]


#: Graphs by seed for whoever wants some of them.
graphs = Graphs()
