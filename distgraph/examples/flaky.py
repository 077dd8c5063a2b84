"""Nodes that fail, on purpose and always in the same way: what is tried again and what is not.

    START -> fetch -> store -> END

`fetch` cannot reach its server in its first `failures` attempts. Its `RetryPolicy` allows three attempts, so up to two
failures heal by themselves and from three on the item fails with the error of the last attempt. An `invalid` item
fails with `ValueError`, which the policy does not retry: trying again would not make it valid.

In a batch a failed item never stops the others; `batch.failures()` lists it and `batch.retry_failed()` runs it again.

    >>> graph.invoke({"index": 4, "failures": 2})["stored"]
    'page 4, attempt 3'
"""

from __future__ import annotations

from typing import Any, TypedDict

from distgraph import END, START, StateGraph
from distgraph.runtime import Runtime
from distgraph.types import RetryPolicy

ATTEMPTS = 3


class Item(TypedDict, total=False):
    index: int
    failures: int  # attempts of `fetch` that fail before one succeeds
    invalid: bool  # fails however often it is tried


class State(Item, total=False):
    page: str
    stored: str


def fetch(state: State, runtime: Runtime[Any]) -> State:
    """Fail as the item says. The attempt's number comes from the runtime, so no memory is needed between attempts."""
    if state.get("invalid"):
        raise ValueError(f"item {state['index']} is invalid")
    assert runtime.execution_info is not None  # every node has one
    attempt = runtime.execution_info.node_attempt  # from 1
    if attempt <= state.get("failures", 0):
        raise ConnectionError(f"item {state['index']}: no answer in attempt {attempt}")
    return {"page": f"page {state['index']}, attempt {attempt}"}


def store(state: State) -> State:
    """Reached only with a page."""
    return {"stored": state["page"]}


def items(count: int) -> list[Item]:
    """A batch: of ten items five succeed at once, three after retries, one fails for good, one is invalid."""
    failures = (0, 1, 0, 2, 0, 1, 0, ATTEMPTS, 0, 0)
    return [{"index": index, "failures": failures[index % 10], "invalid": index % 10 == 9} for index in range(count)]


def expected(item: Item) -> str | type[Exception]:
    """What becomes of an item: the value of `stored`, or the class of its error."""
    if item.get("invalid"):
        return ValueError
    if item.get("failures", 0) >= ATTEMPTS:
        return ConnectionError
    return f"page {item['index']}, attempt {item.get('failures', 0) + 1}"


def build() -> StateGraph[Any, Any, Any, Any]:
    """The graph, not yet compiled."""
    patience = RetryPolicy(
        initial_interval=0.05,  # seconds
        backoff_factor=2.0,
        max_attempts=ATTEMPTS,
        jitter=False,
        retry_on=ConnectionError,
    )
    builder = StateGraph(State, input_schema=Item)
    builder.add_node("fetch", fetch, retry_policy=patience)
    builder.add_node("store", store)
    builder.add_edge(START, "fetch")
    builder.add_edge("fetch", "store")
    builder.add_edge("store", END)
    return builder


graph = build().compile(name="flaky")
