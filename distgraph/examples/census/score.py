"""What the facts about one module say: four metrics, computed side by side. Pure.

Each returns its numbers (ints only, so that they add up exactly over modules) and its notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from distgraph.examples.census.model import Facts, Note, Outline

#: Where a note begins. Common limits of linters, not laws.
LONG_LINES = 100
COMPLEX = 20
MANY_PARAMETERS = 9
DEEP = 6

Score = tuple[dict[str, int], list[Note]]


def size(outline: Outline, facts: Mapping[str, Facts]) -> Score:
    """How much there is."""
    numbers = {
        "lines": outline["lines"],
        "code_lines": outline["code_lines"],
        "classes": sum(1 for fact in facts.values() if fact["kind"] == "class"),
        "functions": sum(1 for _ in _functions(facts)),
        "statements": sum(fact["statements"] for fact in facts.values()),
        "longest": max((fact["lines"] for _, fact in _functions(facts)), default=0),
    }
    return numbers, _over("long function", "lines", LONG_LINES, _functions(facts))


def complexity(facts: Mapping[str, Facts]) -> Score:
    """How many ways lead through it."""
    values = [fact["complexity"] for _, fact in _functions(facts)]
    numbers = {
        "total": sum(values),
        "highest": max(values, default=0),
        "simple": sum(1 for value in values if value <= 5),
        "moderate": sum(1 for value in values if 5 < value <= 10),
        "high": sum(1 for value in values if 10 < value <= COMPLEX),
        "extreme": sum(1 for value in values if value > COMPLEX),
    }
    notes = _over("complex function", "complexity", COMPLEX, _functions(facts))
    return numbers, notes + _over("deep nesting", "depth", DEEP, _functions(facts))


def naming(outline: Outline, facts: Mapping[str, Facts]) -> Score:
    """Whether names and docstrings help a reader."""
    public = [fact for fact in facts.values() if fact["public"]]
    misnamed: list[Note] = [
        {"rule": "unusual name", "where": where, "value": 1}
        for where, fact in sorted(facts.items())
        if not fact["well_named"]
    ]
    numbers = {
        "public": len(public),
        "documented": sum(1 for fact in public if fact["documented"]),
        "undocumented_module": int(not outline["documented"]),
        "misnamed": len(misnamed),
    }
    return numbers, misnamed + _over("many parameters", "parameters", MANY_PARAMETERS, _functions(facts))


def imports(outline: Outline) -> Score:
    """What it leans on."""
    lazy = sum(1 for entry in outline["imports"] if entry["lazy"])
    numbers = {
        "modules": len(outline["imports"]),
        "lazy": lazy,
        "unused": len(outline["unused"]),
    }
    notes: list[Note] = [{"rule": "unused import", "where": name, "value": 1} for name in outline["unused"]]
    return numbers, notes


def _functions(facts: Mapping[str, Facts]) -> Iterator[tuple[str, Facts]]:
    """Functions and methods, in an order that no arrival can change."""
    return ((where, fact) for where, fact in sorted(facts.items()) if fact["kind"] != "class")


def _over(rule: str, what: str, limit: int, facts: Iterable[tuple[str, Facts]]) -> list[Note]:
    values = ((where, int(fact[what])) for where, fact in facts)  # type: ignore[literal-required]
    return [{"rule": rule, "where": where, "value": value} for where, value in values if value > limit]
