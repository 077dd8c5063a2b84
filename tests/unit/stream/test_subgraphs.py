"""Runs of nested graphs within a run; what they tell is compared with the peer in tests/differential/projecting.py."""

from __future__ import annotations

import gc
import operator
import weakref
from typing import Annotated, Any, TypedDict

import pytest

from distgraph import END, START, StateGraph
from distgraph.stream import StreamTransformer

pytestmark = pytest.mark.unit


class State(TypedDict, total=False):
    n: Annotated[int, operator.add]


def loop(rounds: int) -> Any:
    """A graph that runs another one several times."""
    inner = StateGraph(State).add_node("deep", lambda state: {"n": 1}).add_edge(START, "deep").compile()

    def again(state: State) -> str:
        return "nests" if state["n"] < rounds else END

    builder = StateGraph(State).add_node("nests", lambda state: inner.invoke({"n": 0})).add_edge(START, "nests")
    return builder.add_conditional_edges("nests", again, ["nests", END]).compile()


def test_what_has_ended_is_kept_by_its_readers_alone() -> None:
    """A run may nest graphs without end, and each holds its newest state."""
    run = loop(4).stream_events({"n": 0}, version="v3")
    kept = [weakref.ref(handle) for handle in run.subgraphs if handle.output]
    gc.collect()
    # The frame of the loop may hold the last one.
    assert [each() for each in kept[:-1]] == [None] * 3
    assert run.output == {"n": 4}


def test_a_transformer_of_a_nested_run_that_fails_at_its_end_fails_the_run() -> None:
    class Failing(StreamTransformer):
        def init(self) -> dict[str, Any]:
            return {}

        def process(self, event: Any) -> bool:
            return True

        def finalize(self) -> None:
            if self.scope:
                raise ValueError("cannot sum up")

    run = loop(2).stream_events({"n": 0}, version="v3", transformers=[Failing])
    first = next(iter(run.subgraphs))
    with pytest.raises(ValueError, match="cannot sum up"):
        first.output
    assert first.status == "completed"
    with pytest.raises(ValueError, match="cannot sum up"):
        run.output
