"""Checkpoints that have grown too old, deleted by the sweeps of workers: also where no run comes by any more.

A run that keeps its checkpoints for a time only writes so into its thread's line, with its first commit; before that it
has the thread put on a list of its partition, with the time at which a checkpoint will be too old. Sweeps take threads
from that list when their time has come, one worker at a time, and note when the next look is due. A thread on which no
checkpoint is left that could ever go is taken off the list.

Deleting goes in small steps, of which one look takes a few: a sweep has other things to do, and beats.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from distgraph.checkpoint.keeper import LineKeeper, Pruned, Steps
from distgraph.checkpoint.retention import CheckpointRetention
from distgraph.cluster.options import RunOptions
from distgraph.cluster.registry import Registry
from distgraph.errors import DistgraphError, LedgerCorruptError, StoreError, ThreadBusyError
from distgraph.ledger.contract.lines import NestedLines
from distgraph.ledger.runs import RunLedger
from distgraph.superstep.identity import ticks_of

if TYPE_CHECKING:
    from distgraph.cluster.run import Run
    from distgraph.cluster.workplace import Workplace

log = logging.getLogger(__name__)

#: The field of a line that says how old its checkpoints may grow.
RULE = "k"
#: Seconds between two looks at the lists, and those that one look may take.
EVERY, BUDGET = 1.0, 0.1
#: Threads of a partition that one look takes.
MOST = 20
#: Whoever takes a thread has it for so long, and says so again while he goes on with it. Milliseconds.
CLAIM_MS = 3000
#: A thread that a run has in hand, or that cannot be read, is left for so long. Milliseconds.
LEAVE_MS = 60_000
#: A thread whose old checkpoints are needed yet is looked at again after this. Milliseconds.
LATER_MS = 3_600_000


class Rule(NamedTuple):
    """What a thread keeps.

    Attributes:
        age_ms: so old a checkpoint may grow.
        last: so many of the newest stay at most; None: any number.
        graph: the graph whose run said so: workers of it can read its checkpoints.
    """

    age_ms: int
    last: int | None
    graph: str

    @staticmethod
    def of(options: RunOptions, graph: str) -> Rule | None:
        """What the options of a run say; None: nothing of age."""
        last, seconds = options.prune
        return None if seconds is None else Rule(max(1, int(seconds * 1000)), last, graph)

    @staticmethod
    def parse(text: str) -> Rule | None:
        """From what a line says; None if it says nothing that is understood."""
        age, _, rest = text.partition("/")
        last, _, graph = rest.partition("/")
        return Rule(int(age), int(last) if last.isdigit() else None, graph) if age.isdigit() else None

    @property
    def text(self) -> str:
        """As a line says it."""
        return f"{self.age_ms}/{'' if self.last is None else self.last}/{self.graph}"

    @property
    def retention(self) -> CheckpointRetention:
        """Which checkpoints stay."""
        return CheckpointRetention(self.last, timedelta(milliseconds=self.age_ms))


def note(place: Workplace, run: Run) -> None:
    """Have the run's thread looked at when what it is about to commit is too old.

    Before the commit: whoever dies between the two leaves a look that finds nothing, and no checkpoint that stays.
    """
    rule = Rule.of(run.options, run.served.name)
    if rule is not None:
        place.lines.note_age(run.address.thread_id, int(place.now() * 1000) + rule.age_ms)


class Ager:
    """One worker's part of it.

    Args:
        lines: the checkpoints.
        runs: the runs that may hold a thread.
        registry: knows the codecs of graphs.
        monotonic: a clock, in seconds.
    """

    def __init__(self, lines: NestedLines, runs: RunLedger, registry: Registry, monotonic: Callable[[], float]) -> None:
        self.lines, self.runs, self.registry, self.monotonic = lines, runs, registry, monotonic
        self._next = 0.0
        #: The round that is not over yet.
        self._round: Iterator[None] | None = None

    def look(self) -> None:
        """Take some steps, if there is something to do."""
        if self._round is None and self.monotonic() < self._next:
            return
        until = self.monotonic() + BUDGET
        steps, self._round = self._round or self._overdue(), None
        for _ in steps:
            if self.monotonic() >= until:
                self._round = steps
                return

    def _overdue(self) -> Iterator[None]:
        self._next = self.monotonic() + EVERY
        now_ms, threads = self.lines.aged(most=MOST, push_ms=CLAIM_MS)
        #: What is to be added to this process's clock.
        ahead = now_ms - int(self.monotonic() * 1000)
        for thread in threads:
            try:
                yield from self._one(thread, ahead)
            except ThreadBusyError:
                log.debug("old checkpoints of thread %s stay: its next run has begun", thread)
            except (DistgraphError, ValueError, LookupError) as exc:
                if isinstance(exc, StoreError) and not isinstance(exc, LedgerCorruptError):
                    raise
                log.warning("old checkpoints of thread %s stay, for one of them cannot be read: %s", thread, exc)
                head = self.runs.read_line(thread, ["head"])[0] or b""
                self.lines.looked_at(thread, head.decode(errors="replace"), self._now_ms(ahead) + LEAVE_MS)

    def _now_ms(self, ahead: int) -> int:
        """The ledger's clock."""
        return int(self.monotonic() * 1000) + ahead

    def _one(self, thread: str, ahead: int) -> Iterator[None]:
        head, text, holder = ((found or b"").decode() for found in self.runs.read_line(thread, ["head", RULE, "run"]))
        rule = Rule.parse(text)
        if rule is None or not head:
            self.lines.looked_at(thread, head, None)
            return
        if holder and not self._sleeps(thread, holder, self._now_ms(ahead)):
            # Its driver deletes them, as it commits.
            self.lines.looked_at(thread, head, self._now_ms(ahead) + LEAVE_MS)
            return
        served = self.registry.find(rule.graph)
        codec = served.codec if served is not None else self.registry.plain_codec()
        now = datetime.fromtimestamp(self._now_ms(ahead) / 1000, UTC)
        steps = LineKeeper(self.lines, codec).pruning(thread, rule.retention, now, run=holder)
        pruned = yield from self._claiming(steps, thread, head, ahead)
        if pruned.gone:
            log.info("thread %s: %d checkpoints were too old and are deleted", thread, pruned.gone)
        self.lines.looked_at(thread, head, _next_look(pruned, rule, self._now_ms(ahead)))

    def _claiming(self, steps: Steps[Pruned], thread: str, head: str, ahead: int) -> Steps[Pruned]:
        """The steps, while the thread stays this worker's."""
        until = self._now_ms(ahead) + CLAIM_MS // 2
        while True:
            try:
                next(steps)
            except StopIteration as done:
                pruned: Pruned = done.value
                return pruned
            if self._now_ms(ahead) >= until:
                until = self._now_ms(ahead) + CLAIM_MS // 2
                self.lines.looked_at(thread, head, until + CLAIM_MS // 2)
            yield

    def _sleeps(self, thread: str, run_id: str, now_ms: int) -> bool:
        """Whether the run that holds a thread will not go on for a while."""
        partition = self.runs.keys.partition(thread)
        lease, wake = self.runs.peek(partition, run_id, ("lease", "wake"))
        return not lease and wake.isdigit() and int(wake) > now_ms + LEAVE_MS


def _next_look(pruned: Pruned, rule: Rule, now_ms: int) -> int | None:
    """When the oldest checkpoint that is left is too old, in ms; None: none ever will be."""
    if not pruned.oldest:
        return None
    due = ticks_of(pruned.oldest) // 1000 + 1 + rule.age_ms
    # One that is too old already is needed by a run that asks or sleeps.
    return due if due > now_ms else now_ms + LATER_MS
