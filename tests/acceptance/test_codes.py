"""Every code of a problem, warning or error leads to its heading in ops/docs/errors.md, and every problem can be provoked."""

from __future__ import annotations

import ast
import functools
import operator
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Annotated, Any, TypedDict

import pytest

import distgraph.errors
from distgraph import END, START, StateGraph
from distgraph.channels import LastValue
from distgraph.errors import DistgraphError, GraphValidationError, InvalidUpdateError
from distgraph.managed import IsLastStep
from distgraph.pregel import Pregel
from distgraph.types import RetryPolicy
from distgraph.warnings import DistgraphWarning

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "ops/docs/errors.md"
#: What a warning's text begins with, where the warning is no lint.
WARNED = re.compile(r"^([a-z]+(?:-[a-z]+)+): ")


class State(TypedDict, total=False):
    value: int
    found: Annotated[list[int], operator.add]


class Other(TypedDict):
    found: Annotated[list[int], operator.iadd]


class Managed(TypedDict):
    last: IsLastStep


class BadReducer(TypedDict):
    value: Annotated[int, lambda one: one]


class LambdaReducer(TypedDict):
    value: Annotated[int, lambda one, two: one + two]


class Unknown(TypedDict):
    value: Nowhere  # type: ignore[name-defined]  # noqa: F821


class PartialReducer(TypedDict):
    value: Annotated[int, functools.partial(max)]


class Holding(TypedDict):
    lock: threading.Event


class Reserved(TypedDict):
    __start__: int


class Writes(TypedDict):
    value: int


def node(state: State) -> State:
    return {"value": 1}


def writes(state: State) -> Writes:
    return {"value": 1}


def generates(state: State) -> Iterator[State]:
    yield {"value": 1}


def takes_nothing() -> State:
    return {"value": 1}


def misspells(state: State) -> dict[str, int]:
    return {"vaule": 1}


def mutates(state: State) -> State:
    state["found"].append(1)
    return {"value": 1}


def handles(state: State, error) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Its annotation is forgotten."""


#: As in a script.
in_main = FunctionType(node.__code__, {"__name__": "__main__"}, "in_main")


def onward(state: State) -> str:
    return END


def graph(**actions: Callable[..., Any]) -> StateGraph[Any, Any, Any, Any]:
    """START -> a, and more nodes without edges."""
    builder = StateGraph(State)
    for name, action in {"a": node, **actions}.items():
        builder.add_node(name, action)
    return builder.add_edge(START, "a")


def changed_later() -> None:
    builder = graph()
    builder.compile()
    builder.add_node("b", node).add_edge("a", "b")


#: Code -> what provokes it.
PROVOKED: dict[str, Callable[[], object]] = {
    "no-entry": lambda: StateGraph(State).add_node("a", node).compile(),
    "unknown-node": lambda: graph().add_edge("a", "b").compile(),
    "unknown-channel": lambda: Pregel(
        nodes={}, channels={"a": LastValue(int)}, input_channels="b", output_channels="a"
    ),
    "edge-from-end": lambda: graph().add_edge(END, "a"),
    "edge-into-start": lambda: graph().add_edge("a", START),
    "join-unknown-node": lambda: graph().add_edge(["a", "b"], END),
    "join-empty": lambda: graph().add_edge([], "a"),
    "branch-name": lambda: graph().add_conditional_edges("a", onward).add_conditional_edges("a", onward),
    "empty-sequence": lambda: StateGraph(State).add_sequence([]),
    "node-name": lambda: graph().add_node("a", node),
    "node-without-action": lambda: graph().add_node("b"),
    "node-placement": lambda: graph().add_node("b", node, placement="elsewhere"),  # type: ignore[arg-type]
    "node-queue": lambda: graph().add_node("b", node, queue="a b"),
    "sync-timeout": lambda: graph().add_node("b", node, timeout=1).add_edge("a", "b").compile(),
    "checkpointer": lambda: graph().compile(checkpointer="memory"),
    "state-key": lambda: StateGraph(Reserved).add_node("a", node).add_edge(START, "a").compile(),
    "schema-not-a-type": lambda: StateGraph({"value": int}),
    "schema-annotation": lambda: StateGraph(Unknown),
    "schema-conflict": lambda: graph().add_node("b", node, input_schema=Other),
    "schema-managed": lambda: StateGraph(State, output_schema=Managed),
    "reducer-signature": lambda: StateGraph(BadReducer),
    "unreachable-node": lambda: graph(b=node).compile(),
    "endless-loop": lambda: graph(b=node).add_edge("a", "b").add_edge("b", "a").compile(),
    "join-never-fires": lambda: graph(b=node, c=node).add_edge(["a", "b"], "c").compile(),
    "parallel-writers": lambda: (
        graph(b=writes, c=writes).add_edge("a", "b").add_edge("a", "c").compile()  # one superstep, one key
    ),
    "duplicate-edge": lambda: graph().add_edge(START, "a").compile(),
    "empty-path-map": lambda: graph().add_conditional_edges("a", onward, {}).compile(),
    "partial-reducer": lambda: StateGraph(PartialReducer).add_node("a", node).add_edge(START, "a").compile(strict=True),
    "unstorable-type": lambda: StateGraph(Holding).add_node("a", node).add_edge(START, "a").compile(strict=True),
    "node-in-main": lambda: graph(b=in_main).add_edge("a", "b").compile(name="mine", strict=True),
    "handler-parameter": lambda: (
        StateGraph(State).add_node("a", node, error_handler=handles).add_edge(START, "a").compile()
    ),
    "lambda-reducer": lambda: StateGraph(LambdaReducer).add_node("a", node).add_edge(START, "a").compile(),
    "generator-node": lambda: graph(b=generates).add_edge("a", "b").compile(),
    "node-arity": lambda: graph(b=takes_nothing).add_edge("a", "b").compile(),
    "node-named-like-key": lambda: graph(value=node).add_edge("a", "value").compile(),
    "node-name-unusual": lambda: graph(**{" b": node}).add_edge("a", " b").compile(),
    "odd-retry-policy": lambda: graph().set_node_defaults(retry_policy=RetryPolicy(max_attempts=0)).compile(),
    "node-name-lookalike": lambda: (
        graph(**{"caf\u00e9": node, "cafe\u0301": node})
        .add_edge("a", "caf\u00e9")
        .add_edge("a", "cafe\u0301")
        .compile()
    ),
    "changed-after-compile": changed_later,
    "unknown-key": lambda: graph(b=misspells).add_edge("a", "b").compile().invoke({"value": 0}),
    "misplaced-key": lambda: graph().compile().invoke({"value": 0}, {"configurable": {"recursion_limit": 5}}),
    "mutated-input": lambda: graph(b=mutates).add_edge("a", "b").compile(debug=True).invoke({"found": []}),
}


def codes_in_source() -> set[str]:
    """First arguments of ``Problem(...)`` and ``lint(...)``, and what warnings begin with."""
    found: set[str] = set()
    for room in (".", "graph", "engine"):
        for path in (ROOT / "distgraph" / room).glob("*.py"):
            for part in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(part, ast.Call)
                    and isinstance(part.func, ast.Name)
                    and part.func.id in ("Problem", "lint")
                ):
                    found |= {str(arg.value) for arg in part.args[:1] if isinstance(arg, ast.Constant)}
                elif isinstance(part, ast.JoinedStr) and isinstance(part.values[0], ast.Constant):
                    found.update(WARNED.findall(str(part.values[0].value)))
    return found


def error_codes() -> set[str]:
    classes = [cls for cls in vars(distgraph.errors).values() if isinstance(cls, type)]
    return {cls.code for cls in classes if issubclass(cls, DistgraphError)}


def headings() -> list[str]:
    """The headings of the page that are codes."""
    return re.findall(r"^### (\S+)$", PAGE.read_text(), re.MULTILINE)


def test_every_code_has_its_heading_and_no_heading_is_stale() -> None:
    titles = headings()
    assert len(titles) == len(set(titles))
    assert codes_in_source() | error_codes() == set(titles)


def test_every_problem_is_provoked_here() -> None:
    assert set(PROVOKED) == codes_in_source()


@pytest.mark.parametrize("code", PROVOKED)
@pytest.mark.filterwarnings("default")
def test_a_problem_is_told_with_its_code(code: str) -> None:
    """As an error or as a warning, as the severity goes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            PROVOKED[code]()
        except (GraphValidationError, InvalidUpdateError) as error:
            told = [str(error)]
        else:
            told = [str(warning.message) for warning in caught if issubclass(warning.category, DistgraphWarning)]
    assert any(re.search(rf"(^|\d\. ){code}: ", text, re.MULTILINE) for text in told), told
