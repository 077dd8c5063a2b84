"""The functions of a module that deserve a reader first: a search in rounds, one round a superstep. Pure.

No fixed threshold suits both a module of three functions and one of a thousand, so the threshold is sought: halve the
interval until three to five functions lie above it.
"""

from __future__ import annotations

from collections.abc import Mapping

from distgraph.examples.census.model import Facts, Hotspot, Search

FEWEST = 3
MOST = 5
ROUNDS = 6


def weight(fact: Facts) -> int:
    """Long and branching at once: complexity x statements. A class, whose methods count themselves, weighs nothing."""
    return fact["complexity"] * fact["statements"]


def start(facts: Mapping[str, Facts]) -> Search:
    """The search before its first round. A module with fewer functions than `FEWEST` is content with those."""
    weights = [weight(fact) for fact in facts.values() if weight(fact)]
    heaviest = max(weights, default=0)
    return {
        "low": 0,
        "high": heaviest + 1,
        "fewest": min(FEWEST, len(weights)),
        "threshold": (heaviest + 1) // 2,
        "rounds": 0,
        "found": -1,
    }


def refine(search: Search, facts: Mapping[str, Facts]) -> Search:
    """One round: look above the threshold; where that does not settle it, halve the interval."""
    found = len(_above(search["threshold"], facts))
    looked: Search = {**search, "found": found, "rounds": search["rounds"] + 1}
    if _enough(looked):
        return looked
    looked["high" if found < search["fewest"] else "low"] = search["threshold"]
    # giving up, rather too many than too few: the heaviest of them are chosen
    looked["threshold"] = looked["low"] if settled(looked) else (looked["low"] + looked["high"]) // 2
    return looked


def settled(search: Search) -> bool:
    """Whether another round is of no use: found some, looked often enough, or nothing lies between."""
    return _enough(search) or search["rounds"] >= ROUNDS or search["high"] - search["low"] <= 1


def chosen(search: Search, facts: Mapping[str, Facts]) -> list[Hotspot]:
    """At most `MOST` functions from the threshold up, heaviest first, equals by name."""
    spots = [_hotspot(where, facts[where]) for where in _above(search["threshold"], facts)]
    return sorted(spots, key=lambda spot: (-spot["weight"], spot["where"], spot["line"]))[:MOST]


def _enough(search: Search) -> bool:
    return search["fewest"] <= search["found"] <= MOST


def _above(threshold: int, facts: Mapping[str, Facts]) -> list[str]:
    return [where for where, fact in facts.items() if weight(fact) and weight(fact) >= threshold]


def _hotspot(where: str, fact: Facts) -> Hotspot:
    return {
        "where": where.rpartition(":")[0],
        "line": fact["line"],
        "weight": weight(fact),
        "complexity": fact["complexity"],
        "statements": fact["statements"],
    }
