"""The census' state: plain dicts, lists, strings and ints, so that any worker and any report can read it."""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal, TypedDict, TypeVar

V = TypeVar("V")

Kind = Literal["package", "module", "broken"]


def merge(left: dict[str, V], right: dict[str, V]) -> dict[str, V]:
    """Reducer: both dicts in one. The census' keys are unique, so that no order of arrival can matter."""
    return {**left, **right}


class Definition(TypedDict):
    """Where a top-level class or function stands in its file."""

    name: str
    start: int  # first line, decorators included, from 1
    end: int  # last line


class Import(TypedDict):
    """One imported module, by its absolute name."""

    module: str
    lazy: bool  # in a function or under the main guard: does not run at import time


class Outline(TypedDict):
    """What one look at a whole module tells."""

    lines: int
    code_lines: int  # neither blank nor a comment
    documented: bool
    definitions: list[Definition]
    imports: list[Import]
    unused: list[str]  # imported names that the file never mentions again


class Facts(TypedDict):
    """One measured function, method or class. A class counts its own statements, not its methods'."""

    kind: Literal["function", "method", "class"]
    line: int
    lines: int
    statements: int
    complexity: int  # McCabe: decisions + 1; 0 for a class
    depth: int  # blocks within blocks
    parameters: int
    public: bool
    documented: bool
    well_named: bool  # snake_case or CapWords, as PEP 8 has it


class Note(TypedDict):
    """Something worth a look."""

    rule: str
    where: str  # qualified name, or "" for the module itself
    value: int


class Search(TypedDict):
    """How far the search for hotspots has come: the threshold sought lies between `low` and `high`."""

    low: int  # at this threshold there are too many
    high: int  # at this threshold there are too few
    fewest: int  # how many are enough
    threshold: int
    rounds: int
    found: int  # -1 before the first round


class Hotspot(TypedDict):
    """A function that is both long and branching."""

    where: str
    line: int
    weight: int  # complexity x statements
    complexity: int
    statements: int


class Summary(TypedDict):
    """One module's row in the census: the result of an item."""

    module: str
    kind: Kind
    problem: str  # why a broken module is broken, else ""
    planned: int  # definitions found by the outline ...
    measured: int  # ... and measured by the fan-out: equal, or something was lost or repeated
    scores: dict[str, dict[str, int]]
    notes: dict[str, int]  # rule -> how often
    imports: list[str]  # modules imported at import time
    unused: list[str]
    hotspots: list[Hotspot]
    threshold: int
    rounds: int


class CensusItem(TypedDict):
    """What is submitted: a module's name and its file, relative to the standard library's folder."""

    module: str
    path: str


class Portion(TypedDict):
    """What one measuring task is sent: some definitions of one file."""

    path: str
    definitions: list[Definition]


class CensusState(TypedDict, total=False):
    """Everything known about one module. Keys with a reducer are written by several tasks of one superstep."""

    module: str
    path: str
    kind: Kind
    problem: str
    outline: Outline
    facts: Annotated[dict[str, Facts], merge]  # "qualified.name:line" -> facts
    measured: Annotated[int, operator.add]
    scores: Annotated[dict[str, dict[str, int]], merge]  # metric -> its numbers
    notes: Annotated[list[Note], operator.add]
    search: Search
    summary: Summary


class CensusResult(TypedDict):
    """What is kept of an item."""

    summary: Summary


#: A node's update: some keys of the state. (Any, because a reducer key takes what its reducer takes.)
Update = dict[str, Any]
