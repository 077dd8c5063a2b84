"""What a mutant is, and those of the protocol's edges: limits, budgets, servers that are away, changes from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from distgraph.cluster import attempt, commit, node_task, run
from distgraph.cluster.hints import RunHint
from distgraph.cluster.outside import FIELD, outside_of
from distgraph.cluster.recover import Sweeper
from distgraph.ledger.memory.runs import MemoryRuns
from distgraph.ledger.patience import Patience

#: (whose, which method, what replaces it: called with the original one).
Patch = tuple[Any, str, Callable[[Any], Any]]


class Mutant(NamedTuple):
    """One way to break the protocol."""

    about: str
    patches: tuple[Patch, ...]


# ----------------------------------------------------------------- limits


def _forgotten_with_the_dead(reclaim: Any) -> Any:
    def reclaimed(self: Any, address: Any, slot: str, **more: Any) -> Any:
        answer = reclaim(self, address, slot, **more)
        record = self.state.records.get(self.state.key(address))
        if answer[0] and record is not None:
            for name in ("limit", "ends", "step_limit", "step_ends"):
                record.drop(name)
        return answer

    return reclaimed


def _anew(claim: Any) -> Any:
    def claimed(self: Any, address: Any, slot: str, *, sweep_ms: int) -> Any:
        record = self.state.records.get(self.state.key(address))
        if record is not None and record.get("lease", b"") == b"":
            for name in ("ends", "step_ends"):
                record.drop(name)
        return claim(self, address, slot, sweep_ms=sweep_ms)

    return claimed


def _never(_: Any) -> Any:
    return lambda *args, **more: False


# ----------------------------------------------------------------- a broker that is away


def _sent_anyway(publish: Any) -> Any:
    def published(self: Any, hints: Any, *, first: bool = False) -> None:
        if not self.dispatcher.reachable():
            told = self.__dict__.setdefault("told_nobody", set())
            told.update(hint.run_id for hint in hints if isinstance(hint, RunHint))
        publish(self, hints, first=first)

    return published


def _believed_sent(is_lost: Any) -> Any:
    def lost(self: Any, run_id: str, *args: Any, **more: Any) -> bool:
        self._heard = True
        return run_id not in self.__dict__.get("told_nobody", ()) and bool(is_lost(self, run_id, *args, **more))

    return lost


def _always_heard(look: Any) -> Any:
    def looked(self: Any) -> None:
        look(self)
        self._heard = True

    return looked


def _at_once(_: Any) -> Any:
    return lambda self, call: call()


# ----------------------------------------------------------------- changes from outside


def _kept_in_the_record(judge: Any) -> Any:
    def committed(self: Any, given: Any) -> Any:
        return judge(self, replace(given, fields=[field for field in given.fields if field[0] != FIELD]))

    return committed


def _at_any_head(_: Any) -> Any:
    return lambda lane, record, head: lane.take_outside(outside_of(lane.served.codec, record)[1])


def _not_kept(_: Any) -> Any:
    return lambda *args: []


OUTER: dict[str, Mutant] = {
    "limit-forgotten": Mutant(
        "the time limits of a run die with its driver", ((MemoryRuns, "reclaim", _forgotten_with_the_dead),)
    ),
    "limit-anew": Mutant("time limits begin anew with each driver", ((MemoryRuns, "claim", _anew),)),
    "limit-unswept": Mutant("nobody looks at the limits of a run that waits", ((Sweeper, "_is_late", _never),)),
    "budget-forgotten": Mutant("a budget of retries is not kept", ((attempt, "spent", _never),)),
    "outage-counts-as-sent": Mutant(
        "what is hinted while the broker is away counts as sent",
        (
            (Sweeper, "publish", _sent_anyway),
            (Sweeper, "_hint_is_lost", _believed_sent),
            (Sweeper, "_look_around", _always_heard),
        ),
    ),
    "result-thrown-away": Mutant(
        "a result that the server does not take at once is worked out anew", ((Patience, "through", _at_once),)
    ),
    "change-applied-again": Mutant(
        "a change from outside stays in the record that is applied",
        (
            (MemoryRuns, "commit", _kept_in_the_record),
            (run, "take_outside", _at_any_head),
            (node_task, "take_outside", _at_any_head),
        ),
    ),
    "change-lost-at-rest": Mutant(
        "a change from outside is lost where the run rests before its next superstep", ((commit, "beside", _not_kept),)
    ),
}
