"""What every suite shares and no suite owns: cases, statistics, texts. Pure: no server, no process, no clock."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

#: What one measurement found: numbers by name. "value" is what the suite compares.
Numbers = dict[str, float]


class Skip(Exception):
    """This case cannot be measured here; the text says why."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure, in a process of its own.

    Attributes:
        name: the work; cases of one name are compared with each other.
        engine: who does it.
        options: what the suite needs to know besides; plain data.
    """

    name: str
    engine: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The case in one word, for filters."""
        return f"{self.name}/{self.engine}"


class Suite(Protocol):
    """What a suite's module has.

    Attributes:
        UNIT: of the values.
        BETTER: whether less or more of them is good.
        BASELINES: engines to compare with; the first that was measured for a name counts.
        COLUMNS: further numbers to show: (name, heading).
        cases: what there is to measure.
        measure: measures one case; raises Skip where that cannot be done here.
    """

    UNIT: str
    BETTER: Literal["lower", "higher"]
    BASELINES: Sequence[str]
    COLUMNS: Sequence[tuple[str, str]]
    cases: Callable[[], list[Case]]
    measure: Callable[[Case], Numbers]


@dataclass(frozen=True, slots=True)
class Summary:
    """Several measurements of one number."""

    median: float
    low: float
    high: float
    count: int


def summary(values: Sequence[float]) -> Summary:
    """Median and range of at least one value."""
    return Summary(statistics.median(values), min(values), max(values), len(values))


def summaries(rows: Sequence[Numbers]) -> dict[str, Summary]:
    """Each number over all measurements that have it."""
    names = {name: None for row in rows for name in row}
    return {name: summary([row[name] for row in rows if name in row]) for name in names}


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)
    return ordered[min(len(ordered), max(1, rank)) - 1]


def number(value: float) -> str:
    """``value`` with three figures that matter: 0.0412, 8.25, 131, 52,300; a whole number as one."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3g}"


def ranged(found: Summary) -> str:
    """Median with range, or alone where there was one measurement."""
    if found.count == 1:
        return number(found.median)
    return f"{number(found.median)} [{number(found.low)}..{number(found.high)}]"


def enough(seconds: Sequence[float], *, least: int = 3, total: float = 0.4, most: float = 5.0) -> bool:
    """Whether these repetitions inside one process suffice: some, and some time; but a slow engine is not waited for."""
    spent = sum(seconds)
    return spent > most or (len(seconds) >= least and spent > total)


Found = Mapping[str, Mapping[str, Mapping[str, Summary]]]  #: case name -> engine -> number -> summary


def rows(suite: Suite, found: Found) -> list[list[str]]:
    """A suite's table, heading first: work, engine, value, how it compares, further numbers."""
    table = [["work", "engine", f"{suite.UNIT} ({suite.BETTER} is better)", "ratio", *(h for _, h in suite.COLUMNS)]]
    for name, engines in found.items():
        base = next((engine for engine in suite.BASELINES if engine in engines), None)
        for engine, numbers in engines.items():
            more = [number(numbers[column].median) if column in numbers else "" for column, _ in suite.COLUMNS]
            table.append([name, engine, ranged(numbers["value"]), _ratio(engines, engine, base), *more])
    # a column that nobody has anything to say in is left out
    kept = [at for at in range(len(table[0])) if at < 4 or any(row[at] for row in table[1:])]
    return [[row[at] for at in kept] for row in table]


def _ratio(engines: Mapping[str, Mapping[str, Summary]], engine: str, base: str | None) -> str:
    if base is None or not engines[base]["value"].median:
        return ""
    if engine == base:
        return "1"
    return f"{number(engines[engine]['value'].median / engines[base]['value'].median)}x"


def text_table(table: Sequence[Sequence[str]]) -> str:
    """Aligned columns: words to the left, numbers to the right."""
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) if at < 2 else cell.rjust(width) for at, (cell, width) in enumerate(pairs)).rstrip()
        for pairs in (list(zip(row, widths, strict=True)) for row in table)
    )


def markdown_table(table: Sequence[Sequence[str]]) -> str:
    """The same for a document."""
    rule = ["---", "---", *["---:"] * (len(table[0]) - 2)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (table[0], rule, *table[1:]))
