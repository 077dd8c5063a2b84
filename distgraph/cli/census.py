"""The work of ``distgraph demo``: a census on the workers of a stage, a kill in the middle, the same census here."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distgraph.cli import progress
from distgraph.cli.exits import Detached
from distgraph.cli.output import count
from distgraph.cli.stage import called

if TYPE_CHECKING:
    from distgraph.cli.progress import Meter
    from distgraph.cli.stage import Stage
    from distgraph.cluster.batch import BatchStatus
    from distgraph.cluster.processes import WorkerProcess
    from distgraph.examples.census.model import CensusItem
    from distgraph.examples.census.report import Findings

#: Share of the batch that is done when the worker is killed.
MIDDLE = 0.4


@dataclass
class Census:
    """One census on a stage. Its fields fill while it goes on.

    Attributes:
        killed_at: items that were done when the worker was killed; None if the batch was too quick to be caught.
        on_workers: seconds that the batch took.
        here: seconds that the same items took in this process, one after the other.
        differ: names of modules whose result is another one here.
    """

    stage: Stage
    items: list[CensusItem]
    batch_id: str = "census"
    killed_at: int | None = None
    on_workers: float = 0.0
    here: float = 0.0
    differ: list[str] = field(default_factory=list)
    findings: Findings | None = None
    _rows: dict[str, Any] = field(default_factory=dict)
    _replacement: WorkerProcess | None = None

    @property
    def proven(self) -> bool:
        """Whether every item is done and right, and no measure was lost or came twice."""
        complete = len(self._rows) == len(self.items) and not self.differ
        return complete and self.findings is not None and self.findings.unaccounted == 0

    def count_on_workers(self) -> None:
        """Submit the batch, kill a worker in the middle, start another one, wait for the end."""
        from distgraph.examples.census.report import findings

        began = time.monotonic()
        remote = self.stage.cluster.bind("census")
        batch = remote.submit_batch(self.items, batch_id=self.batch_id, key=lambda item: item["module"])
        try:
            progress.watch(batch, "", self._look)
        except Detached:
            # Nothing goes on here: the workers end with the demo.
            raise KeyboardInterrupt from None
        self.on_workers = time.monotonic() - began
        self._rows = {str(row.key): row.value for row in batch.results() if row.error is None}
        self.findings = findings(row["summary"] for row in self._rows.values())

    def _look(self, shown: Meter, status: BatchStatus) -> None:
        if self.killed_at is None and MIDDLE * len(self.items) <= status.done < len(self.items):
            self.killed_at = status.done
            self._kill(shown)
        elif self._replacement is not None and self.stage.beats(self._replacement):
            shown.note(f"  {called(self._replacement)} is at work.")
            self._replacement = None

    def _kill(self, shown: Meter) -> None:
        victim = self.stage.workers[0]
        family = len(victim.children())
        victim.kill_tree()
        shown.note(
            f"  {count(self.killed_at or 0, 'module')} done: killed {called(victim)} (SIGKILL, pid {victim.pid} and "
            f"{count(family, 'child', 'children')}) in the middle of its work."
        )
        self._replacement = self.stage.begin_worker()
        shown.note(f"  Started {called(self._replacement)} in its place.")

    def count_here(self) -> None:
        """Run every item once more, in this process and without any server, and compare it with the workers' result."""
        from distgraph.examples.census.graph import graph

        began = time.monotonic()
        for item in progress.counted(self.items, "once more here", len(self.items)):
            if graph.invoke(item) != self._rows.get(item["module"]):
                self.differ.append(item["module"])
        self.here = time.monotonic() - began
