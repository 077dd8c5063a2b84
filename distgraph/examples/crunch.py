"""Pure CPU work with a known right answer: how throughput grows with workers is measured with this graph.

    START -> lower -> upper -> END

Counts the primes in a range by trial division, the lower half in one superstep and the upper half in the next. Nothing
sleeps, waits or shares: twice the processes on enough cores should finish a batch in half the time.

    >>> graph.invoke({"start": 0, "count": 100})["primes"]
    25
"""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from distgraph import END, START, StateGraph


class State(TypedDict, total=False):
    start: int  # first number looked at
    count: int  # how many numbers are looked at
    primes: Annotated[int, operator.add]


def lower(state: State) -> State:
    return {"primes": count_primes(state["start"], _middle(state))}


def upper(state: State) -> State:
    return {"primes": count_primes(_middle(state), state["start"] + state["count"])}


def count_primes(start: int, stop: int) -> int:
    """How many n with start <= n < stop are prime; time grows with (stop - start) * sqrt(stop)."""
    return sum(1 for number in range(start, stop) if _is_prime(number))


def _is_prime(number: int) -> bool:
    if number < 2:
        return False
    divisor = 2
    while divisor * divisor <= number:
        if number % divisor == 0:
            return False
        divisor += 1
    return True


def _middle(state: State) -> int:
    return state["start"] + state["count"] // 2


def items(count: int, size: int = 1000) -> list[State]:
    """A batch of `count` items that all cost about the same: ranges of `size` numbers around a million.

    With the default size an item takes about 10 ms of CPU.
    """
    return [{"start": 1_000_000 + index * size, "count": size} for index in range(count)]


def build() -> StateGraph[Any, Any, Any, Any]:
    """The graph, not yet compiled."""
    builder = StateGraph(State)
    builder.add_node("lower", lower)
    builder.add_node("upper", upper)
    builder.add_edge(START, "lower")
    builder.add_edge("lower", "upper")
    builder.add_edge("upper", END)
    return builder


graph = build().compile(name="crunch")
