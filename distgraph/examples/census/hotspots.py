"""The functions of a module that deserve a reader first: a search in rounds, one round a superstep. Pure.

No fixed threshold suits both a module of three functions and one of a thousand, so the threshold is sought: halve the
interval until one to five functions lie above it.
"""

from __future__ import annotations

from collections.abc import Mapping

from distgraph.examples.census.model import Facts, Hotspot, Search

MOST = 5
ROUNDS = 6
#: A first guess: say, 30 statements with 10 ways through them.
FIRST_GUESS = 300


def weight(fact: Facts) -> int:
    """Long and branching at once: complexity x statements. A class, whose methods count themselves, weighs nothing."""
    return fact["complexity"] * fact["statements"]


def start(facts: Mapping[str, Facts]) -> Search:
    """The search before its first round."""
    heaviest = max((weight(fact) for fact in facts.values()), default=0)
    return {"low": 0, "high": heaviest + 1, "threshold": min(FIRST_GUESS, heaviest), "rounds": 0, "found": 0}


def refine(search: Search, facts: Mapping[str, Facts]) -> Search:
    """One round: look above the threshold; where that does not settle it, halve the interval."""
    found = sum(1 for fact in facts.values() if weight(fact) and weight(fact) >= search["threshold"])
    looked: Search = {**search, "found": found, "rounds": search["rounds"] + 1}
    if 1 <= found <= MOST:
        return looked
    looked["low" if found else "high"] = search["threshold"]
    if not settled(looked):
        looked["threshold"] = (looked["low"] + looked["high"]) // 2
    return looked


def settled(search: Search) -> bool:
    """Whether another round is of no use: found some, looked often enough, or nothing lies between."""
    return (
        1 <= search["found"] <= MOST or search["rounds"] >= ROUNDS or search["high"] - search["low"] <= 1
    )


def chosen(search: Search, facts: Mapping[str, Facts]) -> list[Hotspot]:
    """At most `MOST` functions from the threshold up, heaviest first, equals by name."""
    heavy = sorted(
        (-weight(fact), where)
        for where, fact in facts.items()
        if weight(fact) and weight(fact) >= search["threshold"]
    )
    return [_hotspot(where, facts[where]) for _, where in heavy[:MOST]]


def _hotspot(where: str, fact: Facts) -> Hotspot:
    return {
        "where": where.rpartition(":")[0],
        "line": fact["line"],
        "weight": weight(fact),
        "complexity": fact["complexity"],
        "statements": fact["statements"],
    }
