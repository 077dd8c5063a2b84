"""The census as a graph: what one module goes through.

    START -> parse -> look_at_package ─┐
                   -> look_at_module  ─┴─> measure (x definitions, Send) -> size       ─┐
                   |                                                        complexity  ├─> join -> refine <-┐
                   |                                                        naming      │            |  └────┘
                   |                                                        imports    ─┘            v
                   -> note_broken ───────────────────────────────────────────────────────────────> conclude -> END

What to look at:

* `route` and `fan_out` are conditional edges: the first picks one of three ways, the second makes tasks out of
  data, one `Send` a portion of definitions. `measure` has placement "spread": each of its tasks travels to whichever
  worker is free.
* `facts`, `measured`, `scores` and `notes` have reducers: parallel tasks write them in one superstep.
* `join` waits for the four metrics together; `refine` leads back to itself until its search is settled.
* A task is sent a path and line numbers, not source: state stays small, and workers read their own library.
"""

from __future__ import annotations

from typing import Any, Literal

from distgraph import END, START, StateGraph
from distgraph.examples.census import analyse, corpus, hotspots, score
from distgraph.examples.census.measure import measure as measure_lines
from distgraph.examples.census.model import CensusItem, CensusResult, CensusState, Kind, Portion, Update
from distgraph.examples.census.summary import summarise
from distgraph.types import Send

#: The widest fan-out of one module: more definitions than this share tasks.
WIDEST = 24

#: Kind of file -> node that is the first on its way.
WAYS = {"package": "look_at_package", "module": "look_at_module", "broken": "note_broken"}

METRICS = ("size", "complexity", "naming", "imports")


def parse(state: CensusState) -> Update:
    """Read the file, parse it, take its outline; what cannot be parsed is a finding, not a failure."""
    package = state["path"].endswith("__init__.py")
    try:
        text = corpus.read(state["path"])
        tree = analyse.parse(text)
    except (corpus.UnreadableError, analyse.BrokenSourceError) as error:
        return {"kind": "broken", "problem": str(error)}
    return {
        "kind": "package" if package else "module",
        "outline": analyse.outline(tree, text, state["module"], package=package),
    }


def route(state: CensusState) -> Kind:
    """Three kinds of files, three ways."""
    return state["kind"]


def look_at_package(state: CensusState) -> Update:
    """A package is a door: many things that it imports and few that it defines."""
    inner = [entry for entry in state["outline"]["imports"] if _within(entry["module"], state["module"])]
    defined = len(state["outline"]["definitions"])
    return {"scores": {"package": {"own_imports": len(inner), "door": int(len(inner) > defined)}}}


def look_at_module(state: CensusState) -> Update:
    """A module that neither defines nor imports anything holds data: tables, constants."""
    outline = state["outline"]
    return {"scores": {"module": {"data": int(not outline["definitions"] and not outline["imports"])}}}


def note_broken(state: CensusState) -> Update:
    """Note it for the report."""
    return {"notes": [{"rule": "broken source", "where": "", "value": 1}]}


def fan_out(state: CensusState) -> list[Send | str]:
    """A task for every definition, or for a few neighbours where there are very many."""
    portions = analyse.portions(state["outline"]["definitions"], WIDEST)
    if not portions:
        return list(METRICS)
    return [Send("measure", {"path": state["path"], "definitions": portion}) for portion in portions]


def measure(portion: Portion) -> Update:
    """Measure the definitions of one portion, read from this worker's own file."""
    lines = corpus.read(portion["path"]).split("\n")
    return {"facts": measure_lines(lines, portion["definitions"]), "measured": len(portion["definitions"])}


def size(state: CensusState) -> Update:
    return _scored("size", score.size(state["outline"], state["facts"]))


def complexity(state: CensusState) -> Update:
    return _scored("complexity", score.complexity(state["facts"]))


def naming(state: CensusState) -> Update:
    return _scored("naming", score.naming(state["outline"], state["facts"]))


def imports(state: CensusState) -> Update:
    return _scored("imports", score.imports(state["outline"]))


def join(state: CensusState) -> Update:
    """All four metrics are in: begin the search for hotspots."""
    return {"search": hotspots.start(state["facts"])}


def refine(state: CensusState) -> Update:
    """One round of the search."""
    return {"search": hotspots.refine(state["search"], state["facts"])}


def again(state: CensusState) -> Literal["refine", "conclude"]:
    """Back to another round until the search is settled."""
    return "conclude" if hotspots.settled(state["search"]) else "refine"


def conclude(state: CensusState) -> Update:
    """The row that is kept."""
    return {"summary": summarise(state)}


def _scored(metric: str, scored: score.Score) -> Update:
    numbers, notes = scored
    return {"scores": {metric: numbers}, "notes": notes}


def _within(name: str, parent: str) -> bool:
    return name.startswith(f"{parent}.")


def build() -> StateGraph[Any, Any, Any, Any]:
    """The graph, not yet compiled."""
    builder = StateGraph(CensusState, input_schema=CensusItem, output_schema=CensusResult)
    for node in (parse, look_at_package, look_at_module, note_broken):
        builder.add_node(node)
    for node in (size, complexity, naming, imports, join, refine, conclude):
        builder.add_node(node)
    builder.add_node("measure", measure, placement="spread", metadata={"stage": "fan-out"})

    builder.add_edge(START, "parse")
    builder.add_conditional_edges("parse", route, WAYS)
    for kind in ("look_at_package", "look_at_module"):
        builder.add_conditional_edges(kind, fan_out, ["measure", *METRICS])
    for metric in METRICS:
        builder.add_edge("measure", metric)
    builder.add_edge(list(METRICS), "join")
    builder.add_edge("join", "refine")
    builder.add_conditional_edges("refine", again)
    builder.add_edge("note_broken", "conclude")
    builder.add_edge("conclude", END)
    return builder


graph = build().compile(name="census")
