"""What must be true of the work after a storm: nothing lost, nothing twice, nothing out of order.

Each takes the facts and answers what is wrong, one line each. `checker` names them all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from distgraph.chaos import graphs
from distgraph.chaos.facts import Facts, covers, pid_of, split_mark
from distgraph.chaos.history import Event, of


def one_end(facts: Facts) -> Iterator[str]:
    """I1: each submitted and acknowledged item reaches exactly one end; none is missing, none is extra."""
    rows = facts.dump.rows
    for run in facts.items.keys() - rows.keys():
        yield f"item {run} has no result"
    for run in rows.keys() - facts.items.keys():
        yield f"item {run} was never submitted"
    for run, row in rows.items():
        if row["status"] != "done":
            yield f"item {run} is {row['status']}: {str(row.get('error'))[:200]}"
    for batch, counters in facts.dump.batches.items():
        count = facts.batches[batch][1]
        if (counters["total"], counters["done"] + counters["failed"]) != (count, count):
            yield f"batch {batch} of {count} items counts {counters}"
    acknowledged = {event["batch"] for event in of(facts.events, "submit") if event["f"] == "ok"}
    for batch in facts.batches.keys() - acknowledged:
        yield f"batch {batch} was never acknowledged"


def one_commit(facts: Facts) -> Iterator[str]:
    """I2: each task has exactly one committed write, and it is the output of an execution that came to its end."""
    used: Counter[str] = Counter()
    for run in facts.done():
        names = [name for name, _ in facts.marks(run)]
        wanted = [f"{step}.{at}" for step, at in graphs.tasks(facts.items[run])] if run in facts.items else names
        if Counter(names) != Counter(wanted):
            yield f"item {run} has committed {names}, planned were {wanted}"
        for name, execution in facts.marks(run):
            used[execution] += 1
            yield from _was_executed(facts, run, name, execution)
    yield from (f"execution {uid} was committed {count} times" for uid, count in used.items() if count > 1)


def _was_executed(facts: Facts, run: str, name: str, execution: str) -> Iterator[str]:
    began = facts.executions.get(execution)
    if began is None or execution not in facts.finished:
        yield f"item {run} has the output of execution {execution}, which {'never ended' if began else 'never was'}"
    elif (began["run"], f"{began['step']}.{began['branch']}") != (run, name):
        yield f"item {run}, task {name} has the output of {began['run']}, task {began['step']}.{began['branch']}"


def sums_exact(facts: Facts) -> Iterator[str]:
    """I3: sums and lists equal the model's, in canonical order."""
    for run in facts.done():
        item = facts.items.get(run)
        if item is None:
            continue
        total = facts.dump.rows[run]["value"].get("total")
        if total != graphs.total(item):
            yield f"item {run} comes to {total}, not to {graphs.total(item)}"
        names = [name for name, _ in facts.marks(run)]
        if names != [f"{step}.{at}" for step, at in graphs.tasks(item)]:
            yield f"item {run} has its parts in the order {names}"


def linear(facts: Facts) -> Iterator[str]:
    """I4: histories are linear: each checkpoint stands on the one before, and none has two successors."""
    for run, commits in facts.commits.items():
        successors: dict[str, set[str]] = defaultdict(set)
        heads: set[str] = set()
        first = commits[0]["parent"]
        for commit in commits:
            if commit["head"] and commit["head"] != commit["parent"]:
                successors[commit["parent"]].add(commit["head"])
                heads.add(commit["head"])
        sure = {commit["parent"] for commit in commits if commit["f"] == "ok"}
        for parent, children in successors.items():
            # Of two whose fate is unknown one may never have been applied.
            certain = {c["head"] for c in commits if c["parent"] == parent and c["f"] == "ok" and c["head"] in children}
            if len(certain) > 1:
                yield f"run {run}: checkpoint {parent or '(none)'} has {len(certain)} successors"
        for parent in sure - heads - {first, ""}:
            yield f"run {run}: checkpoint {parent} was built upon, but never committed"


def reads_stay(facts: Facts) -> Iterator[str]:
    """I5: what was read of a finished item is what every later read gives."""
    for event in of(facts.events, "read"):
        row = facts.dump.rows.get(event["run"], {})
        now = (row.get("value") or {}).get("total")
        if now != event["total"]:
            yield f"item {event['run']} was read as {event['total']}, and is {now} at the end"


def cancelled_stays(facts: Facts) -> Iterator[str]:
    """I6: after a cancel has returned no commit of that run is applied."""
    returned = {event["run"]: event["t"] for event in of(facts.events, "cancelling") if event["f"] == "ok"}
    for event in of(facts.events, "commit", "settle", "offer"):
        if event["f"] == "ok" and event["run"] in returned and event["t"] > returned[event["run"]]:
            late = event["t"] - returned[event["run"]]
            yield f"run {event['run']}: {event['op']} applied {late:.3f} s after its cancel returned"


def no_needless_work(facts: Facts) -> Iterator[str]:
    """I7: nothing is executed that was committed before it was claimed."""
    over: dict[tuple[str, str], float] = {}
    for run, commits in facts.commits.items():
        for commit in commits:
            if commit["f"] == "ok":
                over.setdefault((run, commit["parent"]), commit["done"])
    for event in of(facts.events, "node"):
        ended = over.get((event["run"], event["head"])) if event["f"] == "invoke" else None
        take = facts.take_before(event["pid"], event["t"], str(event["run"])) if ended is not None else None
        if take is not None and ended is not None and take["t"] > ended:
            yield f"item {event['run']}: superstep {event['step']} was executed by {event['pid']} though committed before"
    settled: dict[tuple[str, str, str], float] = {}
    for event in of(facts.events, "settle", "claim_task"):
        task = (event["run"], event["head"], event["task"])
        if event["op"] == "settle" and event["f"] == "ok":
            settled.setdefault(task, event["done"])
        elif event["op"] == "claim_task" and event["f"] == "ok" and event["t"] > settled.get(task, float("inf")):
            yield f"run {event['run']}: task {event['task']} was claimed though settled before"


def crashes_counted(facts: Facts) -> Iterator[str]:
    """I10: no item is blamed for more crashes than hit processes that held it; quarantine takes as many as allowed."""
    for run, counted in facts.dump.crashes.items():
        hit = {pid for pid, takes in facts.takes.items() if pid in facts.struck and any(covers(t, run) for t in takes)}
        hit |= {
            event["pid"] for event in of(facts.events, "node") if event["run"] == run and event["pid"] in facts.struck
        }
        if counted > len(hit):
            yield f"item {run} is blamed for {counted} crashes; {len(hit)} processes that held it were struck"
    for run, row in facts.dump.rows.items():
        poison = row["status"] == "failed" and "PoisonTaskError" in str(row.get("error"))
        if poison and facts.dump.crashes.get(run, 0) < facts.limits.crashes:
            yield f"item {run} is quarantined after {facts.dump.crashes.get(run, 0)} crashes"


def monotonic(facts: Facts) -> Iterator[str]:
    """I12: progress never goes back; a stream has each superstep once, in order."""
    again = {event["batch"] for event in of(facts.events, "retry")}
    seen: dict[str, int] = {}
    for event in of(facts.events, "status"):
        if event["f"] == "ok" and event["batch"] not in again:
            if event["done"] < seen.get(event["batch"], 0):
                yield f"batch {event['batch']} went back from {seen[event['batch']]} to {event['done']} items done"
            seen[event["batch"]] = event["done"]
    wanted = [step for step, _ in graphs.tasks({**graphs.item(0, steps=facts.steps), "width": 3})]
    for event in of(facts.events, "stream"):
        if event["f"] == "ok" and event["steps"] != wanted:
            yield f"run {event['run']} streamed supersteps {event['steps']}, not {wanted}"


def one_run_a_thread(facts: Facts) -> Iterator[str]:
    """I17: of the runs on one thread never two are active at a time; each result ends with its own run's parts."""
    for thread, runs in facts.threads.items():
        spans = []
        for run in dict.fromkeys(runs):
            applied = [commit for commit in facts.commits.get(run, []) if commit["f"] == "ok"]
            if applied:
                spans.append((applied[0]["t"], applied[-1]["done"], run))
        for (_, end, one), (begin, _, other) in pairwise(sorted(spans)):
            if begin < end and not _settled_before(facts.commits[one], begin):
                yield f"thread {thread}: runs {one} and {other} were active at the same time"
    for event in of(facts.events, "run"):
        if event["f"] == "ok":
            yield from _own_parts(facts, event)


def _settled_before(commits: list[Event], t: float) -> bool:
    """Whether a run had come to rest by then; what was answered later are repeats of its last commit."""
    return any(c["f"] == "ok" and c.get("status") in ("done", "failed") and c["done"] <= t for c in commits)


def _own_parts(facts: Facts, event: Event) -> Iterator[str]:
    wanted = [f"{s}.{at}" for s, at in graphs.tasks({**graphs.item(0, steps=facts.steps), "width": 3})]
    parts = [split_mark(mark) for mark in event["marks"]][-len(wanted) :]
    if [name for name, _ in parts] != wanted:
        yield f"run {event['run']} ends with the parts {[name for name, _ in parts]}, not {wanted}"
    for name, execution in parts:
        yield from _was_executed(facts, event["run"], name, execution)


def slot_pids(events: list[Event]) -> set[int]:
    """Processes that committed something in these events."""
    return {pid_of(event["slot"]) for event in events if event["f"] == "ok"}
