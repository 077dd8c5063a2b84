"""The judge of a storm: seventeen invariants and two promises about effects, over histories and what the ledger holds.

Pure: facts in, findings out. It is itself tested with damaged histories: an op dropped, a commit doubled, steps swapped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote

import distgraph.errors
from distgraph.chaos import invariants
from distgraph.chaos.facts import Facts
from distgraph.chaos.history import of
from distgraph.chaos.invariants import slot_pids
from distgraph.ledger.keys import split_item

#: Of one invariant so many violations are told.
MOST = 5
_ERRORS = {name for name, kind in vars(distgraph.errors).items() if isinstance(kind, type)}
#: A sample's processes may have grown by this much from the first third of a storm to the last.
GROWTH = 1.5
#: Seconds that a process may take from its start until it has work.
SERVES = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant, and what is wrong; nothing, if it holds."""

    name: str
    says: str
    wrong: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.wrong


def check(facts: Facts) -> list[Finding]:
    """All invariants, in order."""
    return [
        Finding(name, (test.__doc__ or "").partition(": ")[2], tuple(islice(test(facts), MOST)))
        for name, test in INVARIANTS.items()
    ]


# ------------------------------------------------------------- the system around the work


def no_orphans(facts: Facts) -> Iterator[str]:
    """I8: every key belongs to a run, thread, batch or to the namespace; deleting these leaves nothing."""
    threads = set(facts.threads) | {run for runs in facts.threads.values() for run in runs}
    known = set(facts.batches) | threads
    # What its tasks came to is kept of a run that failed, for a retry.
    failed = {event["run"] for event in of(facts.events, "commit") if event["status"] == "failed"} & threads
    for key in facts.dump.keys:
        found = re.match(r"dg:\{[^}]*/(g|\d+)\}:([a-z]+)(?::(.*))?$", key, re.DOTALL)
        if found is None:
            yield f"key {key} is none of ours"
        elif (
            found[1] != "g"
            and found[2] not in ("due", "runs", "dead")
            and not _belongs(found[2], found[3] or "", known)
            and not (found[2] in ("open", "tries") and unquote(found[3] or "") in failed)
        ):
            yield f"key {key} belongs to nothing"
    yield from (f"key {key} is left when everything was deleted" for key in facts.swept)
    if facts.dump.waiting:
        yield f"{facts.dump.waiting} hints wait in the queue when all is done"


def _belongs(kind: str, name: str, known: set[str]) -> bool:
    owner = unquote(name.partition(":")[0])
    if kind == "once":
        # Those of a batch's item outlive it for a time.
        return owner in known or ((item := split_item(owner)) is not None and item[0] in known)
    # Of an item that is done nothing else is kept but its row.
    owned = ("batch", "out", "in", "crash", "asks", "run", "rid", "log", "line", "hist", "pend")
    return kind in owned and owner in known


def nothing_held(facts: Facts) -> Iterator[str]:
    """I9: no lease, claim, slice or due entry is left of what is at rest."""
    yield from facts.dump.unrest


def comes_to_an_end(facts: Facts) -> Iterator[str]:
    """I11: after the last harm everything ends in time, and every worker takes part in it."""
    healed, ended = facts.at("healed"), facts.at("ended")
    if healed is None or ended is None:
        yield "the work did not come to its end"
        return
    if ended - healed > facts.limits.finish:
        yield f"the work ended {ended - healed:.1f} s after the last harm; allowed are {facts.limits.finish:g} s"
    after = [event for event in of(facts.events, "step", "commit") if event["t"] > healed]
    live = {pid for event in of(facts.events, "live") for pid in event["pids"]}
    born = {pid: event["t"] for event in of(facts.events, "born") for pid in event["pids"]}
    for pid in sorted(live - slot_pids(after)):
        # With too little left to do once it serves, it may come too late.
        serves = max(healed, born.get(pid, healed)) + SERVES
        if sum(event["t"] > serves for event in after) >= 100 * len(live):
            yield f"worker process {pid} did nothing after the last harm"


def harm_was_done(facts: Facts) -> Iterator[str]:
    """I13: as much harm as planned was really done, and work was really done under it."""
    done: dict[str, int] = {}
    for event in of(facts.events, "kill", "stop", "reset", "blackhole"):
        done[event["kind"]] = done.get(event["kind"], 0) + event.get("count", 1)
    for kind, planned in facts.planned.items():
        if kind == "fault":
            struck = sum(event["f"] == "ok" for event in of(facts.events, "fault"))
            if struck < planned * facts.limits.struck:
                yield f"{struck} faults struck of {planned} that were armed"
        elif done.get(kind, 0) < planned:
            yield f"{done.get(kind, 0)} {kind}s were struck of {planned} planned"
    commits = sum(len(events) for events in facts.commits.values())
    if not facts.items or commits < len(facts.items) or len(facts.done()) < 0.9 * len(facts.items):
        yield f"{commits} commits and {len(facts.done())} results for {len(facts.items)} items show nothing"


def little_repeated(facts: Facts) -> Iterator[str]:
    """I14: little is executed again, and few hints are sent."""
    executed = executions(facts)
    if executed > facts.limits.executions:
        yield f"{executed:.3f} executions for each task; allowed are {facts.limits.executions:g}"
    sent = hints(facts)
    if sent > facts.limits.hints:
        yield f"{sent:.3f} hints for each task; allowed are {facts.limits.hints:g}"


def executions(facts: Facts) -> float:
    """Executions of nodes for each task of the batches."""
    count: int = sum(event["run"] in facts.items for event in facts.executions.values())
    return count / max(1, facts.tasks)


def hints(facts: Facts) -> float:
    """Hints for each task of the batches, and for each execution of the single runs beside them."""
    count: int = sum(event["f"] == "ok" for event in of(facts.events, "hint"))
    beside: int = sum(event["run"] not in facts.items for event in facts.executions.values())
    return count / max(1, facts.tasks + beside)


def errors_known(facts: Facts) -> Iterator[str]:
    """I15: clients get distgraph's errors and no others, and end by themselves or by a kill."""
    for event in facts.events:
        error = event.get("error")
        if error is not None and (error not in _ERRORS or event.get("known") is False):
            yield f"{event['op']} of {event.get('run', event.get('batch'))} raised {error}: {event.get('text', '')}"
        if event["op"] == "exit" and event["f"] == "fail":
            yield f"{event['name']} ended with code {event['code']}: {event.get('text', '')}"


def most(values: list[int]) -> int:
    """The most of them; 0 without any."""
    return max(values, default=0)


def flat(facts: Facts) -> Iterator[str]:
    """I16: memory, open files and keys do not grow with time."""
    samples = of(facts.events, "sample")
    third = len(samples) // 3
    if third < 3:
        return
    for name in ("rss", "fds"):
        first, last = (max(most(sample[name]) for sample in part) for part in (samples[:third], samples[-third:]))
        if first > 0 and last > GROWTH * first:
            yield f"{name} of a worker's process grew from {first} to {last}"
    # A key for every item is what results and open items take; anything beyond is a leak.
    for sample in samples[-third:]:
        if sample["keys"] > 200 + 2 * sample["open"] + 2 * len(facts.batches) * 10 + 12 * sample["runs"]:
            yield f"{sample['keys']} keys for {sample['open']} open items and {sample['runs']} runs"


# ------------------------------------------------------------- effects


def keyed_once(facts: Facts) -> Iterator[str]:
    """E1: an effect of a service that deduplicates by key is applied once for each task, under one key."""
    applied = facts.applied.get("keyed", {})
    for run in facts.done():
        if run in facts.items and facts.items[run]["effect"] == "keyed" and applied.get(run, 0) != 1:
            yield f"item {run}: its keyed effect was applied {applied.get(run, 0)} times"
    yield from (f"item {run} had {len(keys)} idempotency keys" for run, keys in facts.keys.items() if len(keys) != 1)


def repeated_in_the_window(facts: Facts) -> Iterator[str]:
    """E2: `once` repeats a call only where its record was not there when the attempt looked."""
    looked = {e["attempt"]: e["t"] for e in of(facts.events, "once") if e["at"] == "look"}
    recorded: dict[str, float] = {}
    for event in of(facts.events, "once"):
        if event["at"] == "recorded":
            recorded.setdefault(event["run"], event["t"])
        elif event["at"] == "call" and event["run"] in recorded and looked[event["attempt"]] > recorded[event["run"]]:
            yield f"item {event['run']}: called again by {event['attempt']} though it was recorded before that looked"
    applied = facts.applied.get("once", {})
    for run in facts.done():
        if run in facts.items and facts.items[run]["effect"] == "once" and not applied.get(run):
            yield f"item {run}: its effect was never applied"


INVARIANTS: dict[str, Callable[[Facts], Iterator[str]]] = {
    "I1": invariants.one_end,
    "I2": invariants.one_commit,
    "I3": invariants.sums_exact,
    "I4": invariants.linear,
    "I5": invariants.reads_stay,
    "I6": invariants.cancelled_stays,
    "I7": invariants.no_needless_work,
    "I8": no_orphans,
    "I9": nothing_held,
    "I10": invariants.crashes_counted,
    "I11": comes_to_an_end,
    "I12": invariants.monotonic,
    "I13": harm_was_done,
    "I14": little_repeated,
    "I15": errors_known,
    "I16": flat,
    "I17": invariants.one_run_a_thread,
    "E1": keyed_once,
    "E2": repeated_in_the_window,
}
