"""What a storm comes to: figures and findings, for a table, a page and JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distgraph.chaos.checker import Finding, executions, hints
from distgraph.chaos.facts import Facts
from distgraph.chaos.history import of
from distgraph.chaos.recovery import GOALS, Recovery, median, percentile, recoveries


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a storm.

    Attributes:
        figures: name -> value, in the order they are shown.
        recoveries: seconds until work went on, by what was struck.
        findings: the invariants.
    """

    seed: int
    figures: dict[str, Any]
    recoveries: list[Recovery]
    findings: list[Finding]

    @property
    def holds(self) -> bool:
        """Whether all invariants hold."""
        return all(finding.holds for finding in self.findings)

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "seed": self.seed,
            "holds": self.holds,
            "machine": machine(),
            **self.figures,
            "recovery": {kind: dict(zip(HEADINGS[1:], row, strict=True)) for kind, *row in self.rows()},
            "invariants": {finding.name: list(finding.wrong) for finding in self.findings},
        }

    def rows(self) -> list[list[Any]]:
        """The table of recoveries, without headings."""
        return [_row(recovery) for recovery in self.recoveries]

    def markdown(self, command: str) -> str:
        """A section of a page."""
        lines = [f"`{command}` on {machine()}:", "", "| Figure | |", "|---|---|"]
        lines += [f"| {name.replace('_', ' ')} | {value} |" for name, value in self.figures.items()]
        lines += ["", f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|"]
        lines += [f"| {' | '.join(map(_cell, row))} |" for row in self.rows()]
        lines += ["", "| Invariant | | Holds |", "|---|---|---|"]
        lines += [
            f"| {f.name} | {f.says} | {'yes' if f.holds else '**no**: ' + '; '.join(f.wrong)} |" for f in self.findings
        ]
        return "\n".join(lines) + "\n"


#: Seconds: until the first run that was held went on, and until the last one did.
HEADINGS = ("struck", "times", "hit work", "first p50", "first p99", "first worst", "last p99", "goal", "kept")


def _row(recovery: Recovery) -> list[Any]:
    first, last = recovery.first, recovery.last
    goal = GOALS.get(recovery.kind)
    times = [median(first), percentile(first, 0.99), max(first, default=float("nan")), percentile(last, 0.99)]
    return [
        recovery.kind,
        recovery.strikes or None,
        len(first),
        *(round(t, 2) if t == t else None for t in times),
        f"< {goal:g} s" if goal else "",
        ("yes" if recovery.kept else "NO") if goal else "",
    ]


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def machine() -> str:
    """What the storm ran on."""
    return f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def report(facts: Facts, findings: Sequence[Finding], *, seconds: float, seed: int) -> Report:
    """The report on a storm that took so many seconds."""
    events, items = facts.events, facts.items
    wrong = [run for run in items if facts.dump.rows.get(run, {}).get("status") != "done"]
    doubled = sum(len(facts.marks(run)) > len({name for name, _ in facts.marks(run)}) for run in facts.done())
    once = facts.applied.get("once", {})
    figures: dict[str, Any] = {
        "items": len(items),
        "tasks": facts.tasks,
        "seconds": round(seconds, 1),
        "sigkills": sum(event.get("count", 1) for event in of(events, "kill")),
        "stopped": len(of(events, "stop")),
        "faults": sum(event["f"] == "ok" for event in of(events, "fault")),
        "workers_ended_by_themselves": sum(event["f"] == "info" for event in of(events, "exit")),
        "lost": len(wrong),
        "duplicated": doubled,
        "executions_per_task": round(executions(facts), 4),
        "hints_per_task": round(hints(facts), 4),
        "quarantined_then_retried": sum(event["count"] for event in of(events, "retry")),
        "keyed_effects": sum(facts.applied.get("keyed", {}).values()),
        "once_effects": len(once),
        "once_repeated": sum(once.values()) - len(once),
    }
    return Report(seed, figures, recoveries(events), list(findings))
