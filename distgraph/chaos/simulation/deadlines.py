"""Time limits, budgets and Commands of runs as they are seen from outside: by what the ledger answered, and when.

A limit counts from when the run was first taken, whoever takes it after that; that of a superstep from its commit, or from
when somebody took the run to begin it. Both begin anew where somebody lets the run go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distgraph.chaos.simulation.schedule import Subject
from distgraph.ledger.keys import split_item
from distgraph.ledger.replies import Commit

if TYPE_CHECKING:
    from distgraph.chaos.simulation.history import History

#: A run whose time is over ends so much later at most, where nothing strikes. Milliseconds.
_LATE_MS = 3_000
#: And so much later for each fault. Milliseconds.
_EACH_MS = 2_500
#: And as much more where that keeps a server away, or hints come to harm. Milliseconds.
_AWAY_MS = 10_000
_RUN, _STEP = "RUN_TIMEOUT", "STEP_TIMEOUT"


class Deadlines:
    """Judges what is done to runs with limits."""

    def __init__(self, history: History) -> None:
        self.history, self.world = history, history.world
        self.any = any(subject.limited for subject in self.world.schedule.subjects)

    def subject_of(self, run_id: str) -> Subject | None:
        """Who wanted a run, or an item; None: that is no run of a client."""
        kind, _, number = (split_item(run_id) or (run_id,))[0].partition("-")
        client = int(number) if kind in ("run", "batch") and number.isdigit() else 0
        return self.world.clients[client - 1].subject if 0 < client <= len(self.world.clients) else None

    def taken(self, run_id: str) -> None:
        """Somebody has taken the run."""
        facts = self.history.facts
        for what, since in (("begun", facts.begun), ("step begun", facts.step_begun)):
            if run_id not in since:
                self.history.tell(what, run_id, self.world.now_ms)

    def moved(self, run_id: str) -> None:
        """A superstep was committed."""
        self.history.tell("step begun", run_id, self.world.now_ms)

    def left(self, address: Any) -> None:
        """Somebody gave the run back: nobody works at its superstep."""
        state = self.world.memory.state
        if "step_ends" not in state.records.look(state.key(address)):
            self.history.tell("step begun", address.run_id, 0)

    def over(self, run_id: str) -> dict[str, int]:
        """Since when which time of the run is over, or when it will be: ms since the epoch."""
        subject, facts = self.subject_of(run_id), self.history.facts
        begun, step = facts.begun.get(run_id, 0), facts.step_begun.get(run_id, 0)
        out: dict[str, int] = {}
        if subject is not None and subject.limit_ms and begun:
            out[_RUN] = begun + subject.limit_ms
        if subject is not None and subject.step_ms and step:
            out[_STEP] = step + subject.step_ms
        return out

    def begins(self, node: str, run_id: str) -> None:
        """A node begins: not when the time of its run is over.

        Who stood still between the claim, which told how much time is left, and this cannot know how long.
        """
        if self.history.frozen:
            return
        for code, ends in self.over(run_id).items():
            if self.world.now_ms > ends:
                late = self.world.now_ms - ends
                self.history.violate("I18", f"node {node!r} of run {run_id!r} began {late} ms after its end ({code})")

    def rests(self, commit: Commit) -> None:
        """A run came to rest: not long after its end, and with that error not before."""
        run_id, now = commit.address.run_id, self.world.now_ms
        over, told = self.over(run_id), self._code(commit)
        if told in over and now < over[told]:
            self.history.violate("I18", f"run {run_id!r} ended {over[told] - now} ms before its time ({told})")
        late = now - min(over.values(), default=now)
        faults = self.history.faults
        hints = self.world.schedule.hints
        away = faults["broker away"] + faults["ledger away"] + bool(hints.lose or hints.delay)
        if late > _LATE_MS + _EACH_MS * sum(faults.values()) + _AWAY_MS * away:
            self.history.violate("I18", f"run {run_id!r} came to rest {late} ms after its end")

    def _code(self, commit: Commit) -> str:
        data = dict(commit.fields).get("error")
        subject = self.subject_of(commit.address.run_id)
        if not isinstance(data, bytes) or not data or subject is None:
            return ""
        return str(self.world.clients[0].desk.codec_of(subject.graph).decode(data).get("code", ""))
