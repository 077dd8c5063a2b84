"""Random graphs to which things happen: nodes ask, fail and are tried again, fail for good, are graphs themselves.

What happens is drawn from the seed like the graph itself, so that the same happens on the peer, here and on workers.
``make`` gives a graph; ``converse`` runs it to its end as a person would who answers and starts again, and tells what
was seen on the way.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

from tests.graphs.plans import END, Node, Plan
from tests.graphs.random_graphs import Api, add_counts, build, fold, inputs, last_wins, observe

#: More turns than any conversation takes.
ENOUGH = 40


class Inside(TypedDict, total=False):
    """What nested graphs share with their parent: all but the key that has one writer."""

    seen: Annotated[list[str], operator.add]
    total: Annotated[int, operator.add]
    tally: Annotated[dict[str, int], add_counts]
    latest: Annotated[dict[str, int], last_wins]
    names: Annotated[set[str], operator.or_]
    fold: Annotated[int, fold]


#: (input, config) -> what was seen of the run.
Run = Callable[[Any, Any], Any]


class Broken(Exception):
    """A node's failure."""


class Asking(NamedTuple):
    """What nodes need besides what graphs are built with."""

    interrupt: Callable[[Any], Any]
    get_config: Callable[[], Any]
    get_runtime: Callable[[], Any]
    RetryPolicy: Any


@dataclass
class Events:
    """What happens to which nodes.

    Attributes:
        asks: how many questions a node asks, one after the other.
        flaky: a node fails at its first attempts, so many.
        broken: a node fails for good until the run was started so many times.
        handled: nodes that always fail, and have a handler.
        nested: nodes that are graphs, and what the second node in there does.
        before: breakpoints.
        after: breakpoints.
    """

    asks: dict[str, int] = field(default_factory=dict)
    flaky: dict[str, int] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    handled: set[str] = field(default_factory=set)
    nested: dict[str, Literal["plain", "asks", "breaks"]] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


def events(planned: Plan) -> Events:
    """What happens in a planned graph."""
    random, found = Random(f"events {planned.seed}"), Events()
    joined = {name for sources, _ in planned.joins for name in sources}
    for name, node in planned.nodes.items():
        plain = name not in planned.routes
        free = [kind for kind in ("asks", "flaky", "broken") for _ in range(2)]
        if plain and name not in joined:
            free.append("handled")
        if plain and name not in planned.mapped and not node.owns_word and len(found.nested) < 2:
            free.append("nested")
        if random.random() < 0.3:
            _happen(found, name, random.choice(free), random)
    for stops in (found.before, found.after):
        if random.random() < 0.1:
            stops.append(random.choice(list(planned.nodes)))
    return found


def _happen(found: Events, name: str, kind: str, random: Random) -> None:
    if kind == "asks":
        found.asks[name] = random.randint(1, 2)
    elif kind == "flaky":
        found.flaky[name] = random.randint(1, 2)
    elif kind == "broken":
        found.broken[name] = random.randint(1, 2)
    elif kind == "handled":
        found.handled.add(name)
    else:
        found.nested[name] = random.choice(("plain", "asks", "breaks"))


def make(planned: Plan, api: Api, asking: Asking) -> Any:
    """A planned graph with its events, compiled under the name ``eventful_<seed>``."""
    happening = events(planned)

    def dress(node: Node, action: Callable[[Any], Any]) -> tuple[Any, dict[str, Any]]:
        return _dressed(node, action, planned, happening, api, asking)

    return build(planned, api, dress).compile(
        name=f"eventful_{planned.seed}", interrupt_before=happening.before, interrupt_after=happening.after
    )


def _dressed(
    node: Node, action: Callable[[Any], Any], planned: Plan, happening: Events, api: Api, asking: Asking
) -> tuple[Any, dict[str, Any]]:
    name = node.name
    if name in happening.nested:
        second = {
            "plain": _nothing,
            "asks": _asks(name, 1, _nothing, api, asking),
            "breaks": _breaks(2, _nothing, asking),
        }
        inner = api.StateGraph(Inside).add_node("first", action).add_node("second", second[happening.nested[name]])
        return inner.add_edge(api.START, "first").add_edge("first", "second").compile(name=f"in_{name}"), {}
    if name in happening.handled:
        targets = [target for source, target in planned.edges if source == name] or [END]

        def handler(view: Any) -> Any:
            return api.Command(update=action(view), goto=targets)

        def fails(view: Any) -> Any:
            raise Broken(f"{name} always fails")

        return fails, {"error_handler": handler}
    if name in happening.flaky:
        policy = asking.RetryPolicy(initial_interval=0.001, jitter=False, retry_on=Broken)
        return _flaky(happening.flaky[name], action, asking), {"retry_policy": policy}
    if name in happening.broken:
        return _breaks(happening.broken[name], action, asking), {}
    if name in happening.asks:
        return _asks(name, happening.asks[name], action, api, asking), {}
    return action, {}


def _nothing(view: Any) -> Any:
    return None


def _asks(name: str, times: int, action: Callable[[Any], Any], api: Api, asking: Asking) -> Callable[[Any], Any]:
    def asks(view: Any) -> Any:
        answers = [asking.interrupt(f"{name}?{place}:{observe(view)}") for place in range(times)]
        made = action(view)
        told = api.Command(update={"seen": [f"{name}!{answer}" for answer in answers]})
        return told if made is None else [told, *(made if isinstance(made, list) else [made])]

    return asks


def _flaky(times: int, action: Callable[[Any], Any], asking: Asking) -> Callable[[Any], Any]:
    def flaky(view: Any) -> Any:
        attempt = asking.get_runtime().execution_info.node_attempt
        if attempt <= times:
            raise Broken(f"attempt {attempt}")
        return action(view)

    return flaky


def _breaks(until: int, action: Callable[[Any], Any], asking: Asking) -> Callable[[Any], Any]:
    def breaks(view: Any) -> Any:
        if asking.get_config()["configurable"]["round"] < until:
            raise Broken("not yet")
        return action(view)

    return breaks


# ---------------------------------------------------------------- a conversation


def answer(question: Any) -> int:
    """To a question: the same wherever it is asked."""
    return sum(map(ord, str(question))) % 97


def converse(app: Any, api: Api, seed: int, thread: str, run: Run, **config: Any) -> Iterator[Any]:
    """Run a graph until nothing is left of it, and tell of each turn what ``run(input, config)`` saw, and the state.

    Of a turn that failed only the failure is told, and of the next one not what was seen on the way: what was done
    beside the task that failed, and so need not be done again, is chance.
    """
    random, started = Random(f"answers {seed}"), 0
    given: Any = inputs(seed)
    by_value = failed = False
    for _ in range(ENOUGH):
        where: Any = {"configurable": {"thread_id": thread, "round": started}, **config}
        try:
            seen = run(given, where)
        except Exception as exc:
            yield type(exc).__name__
            given, started, failed = None, started + 1, True
            continue
        state = app.get_state(where)
        asked = sorted(state.interrupts, key=lambda each: str(each.value))
        yield None if failed else seen, state.values, sorted(state.next), [each.value for each in asked]
        failed = False
        if not state.next:
            return
        # Starting again after an answer that names no question hands it to the next one too, on the peer.
        if asked and (random.random() < 0.8 or by_value):
            answers = _answers(asked, random)
            given, by_value = api.Command(resume=answers), not isinstance(answers, dict)
        else:
            given = None
    raise AssertionError(f"graph {seed} does not end")


def _answers(asked: list[Any], random: Random) -> Any:
    values = [each.value for each in asked]
    if len(asked) == 1 and random.random() < 0.5:
        return answer(values[0])
    alike = len(set(values)) < len(values)
    chosen = asked if alike or random.random() < 0.5 else asked[: random.randint(1, len(asked))]
    return {each.id: answer(each.value) for each in chosen}
