"""The result row of one module. Pure, and the same in any order of arrival: what is listed is sorted."""

from __future__ import annotations

from collections import Counter

from distgraph.examples.census.hotspots import chosen
from distgraph.examples.census.model import CensusState, Outline, Search, Summary

_NOTHING: Outline = {
    "lines": 0,
    "code_lines": 0,
    "documented": False,
    "definitions": [],
    "imports": [],
    "unused": [],
}
_NO_SEARCH: Search = {"low": 0, "high": 0, "fewest": 0, "threshold": 0, "rounds": 0, "found": 0}


def summarise(state: CensusState) -> Summary:
    """What is kept of a module's state. A broken module has a row too, with the reason and no numbers."""
    outline = state.get("outline", _NOTHING)
    search = state.get("search", _NO_SEARCH)
    return {
        "module": state["module"],
        "kind": state["kind"],
        "problem": state.get("problem", ""),
        "planned": len(outline["definitions"]),
        "measured": state.get("measured", 0),
        "scores": {metric: state["scores"][metric] for metric in sorted(state.get("scores", {}))},
        "notes": dict(sorted(Counter(note["rule"] for note in state.get("notes", [])).items())),
        "imports": [entry["module"] for entry in outline["imports"] if not entry["lazy"]],
        "unused": outline["unused"],
        "hotspots": chosen(search, state.get("facts", {})),
        "threshold": search["threshold"],
        "rounds": search["rounds"],
    }
