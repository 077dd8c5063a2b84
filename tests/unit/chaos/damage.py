"""The history of a small storm in which all went well, for tests that damage it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from distgraph.chaos import graphs
from distgraph.chaos.dump import Dump
from distgraph.chaos.facts import Facts
from distgraph.chaos.history import Event

STEPS = 3
#: Items 0 to 7: the first has a keyed effect, the second one with `once`, the last one fans out.
COUNT = 8
SLOT, OTHER = "boot:7.0", "boot:8.0"


class Clock:
    """Every event a millisecond after the one before."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 0.001
        return round(self.now, 6)


def facts() -> Facts:
    """One batch, taken as one slice by one process; a run on a thread; a run that was cancelled; a child killed."""
    clock = Clock()
    rows: dict[str, dict[str, Any]] = {}
    events = list(_events(clock, rows))
    dump = Dump(
        rows=rows,
        batches={"b": {"total": COUNT, "done": COUNT, "failed": 0, "cancelled": 0}},
        keys=["dg:{n/g}:meta", "dg:{n/0}:due", "dg:{n/0}:out:b:0", "dg:{n/1}:line:t:", "dg:{n/1}:run:c-1"],
    )
    return Facts(
        sorted(events, key=lambda event: float(event["t"])),
        dump,
        {"b": (0, COUNT)},
        STEPS,
        planned={"child": 1, "fault": 1},
        applied={"keyed": {"b:0": 1}, "once": {"b:1": 1}},
        keys={"b:0": ["key"]},
    )


def _events(clock: Clock, rows: dict[str, dict[str, Any]]) -> Iterator[Event]:
    yield _event(clock, "submit", "ok", batch="b")
    yield _event(clock, "fault", "invoke")
    yield _event(clock, "fault", "ok")
    # Somebody had it before, and was killed before he committed anything.
    where = {"batch": "b", "chunk": 0, "start": 0, "stop": COUNT}
    yield _event(clock, "take", "ok", slice="s0", slot=OTHER, **where)
    yield _event(clock, "kill", "invoke", kind="child", pids=[8])
    yield _event(clock, "leave", "ok", slice="s0", slot=OTHER)
    yield _event(clock, "take", "ok", slice="s1", slot=SLOT, **where)
    for index in range(COUNT):
        item = graphs.item(index, steps=STEPS)
        marks = yield from _run(clock, f"b:{index}", item)
        rows[f"b:{index}"] = {"status": "done", "value": {"total": graphs.total(item), "marks": marks}}
        yield _event(clock, "status", "ok", batch="b", done=index + 1)
    yield _event(clock, "leave", "ok", slice="s1", slot=SLOT)
    yield _event(clock, "read", "ok", run="b:0", total=rows["b:0"]["value"]["total"])
    for stage in ("look", "call", "called", "recorded"):
        yield _event(clock, "once", "info", run="b:1", attempt="a1", at=stage)
    yield from _shared(clock)
    for op in ("healed", "ended"):
        yield _event(clock, op, "ok")
    yield _event(clock, "live", "ok", pids=[7])
    for at in range(12):
        yield _event(clock, "sample", "ok", rss=[50_000 + at], fds=[20], keys=30, open=0, runs=2)


def _run(clock: Clock, run: str, item: graphs.Item, op: str = "step") -> Generator[Event, None, list[str]]:
    """A run of an item from its first superstep to its end; returns its marks."""
    marks: list[str] = []
    parent = ""
    for step in range(item["steps"]):
        for at, branch in [task for task in graphs.tasks(item) if task[0] == step]:
            uid = f"7-{run}-{at}-{branch}"
            about = {"run": run, "step": at, "branch": branch, "uid": uid, "head": parent}
            yield _event(clock, "node", "invoke", **about)
            yield _event(clock, "node", "ok", **about)
            marks.append(f"{at}.{branch}:{uid}")
        last = step == item["steps"] - 1
        head = "" if last and op == "step" else f"{run}/{step}"
        yield _event(
            clock,
            op,
            "ok",
            run=run,
            slot=SLOT,
            slice="s1",
            kind="end" if last else "step",
            status="done" if last else "running",
            parent=parent,
            head=head,
            row=1,
        )
        parent = head
    return marks


def _shared(clock: Clock) -> Iterator[Event]:
    """Two runs on one thread, one after the other; and one that is cancelled."""
    item: graphs.Item = {**graphs.item(0, steps=STEPS), "width": 3}
    marks: list[str] = []
    for run in ("c-1", "c-2"):
        yield _event(clock, "run", "invoke", run=run, thread="t")
        marks += yield from _run(clock, run, item, "commit")
        yield _event(clock, "stream", "ok", run=run, steps=[step for step, _ in graphs.tasks(item)])
        yield _event(clock, "run", "ok", run=run, thread="t", marks=list(marks))
    yield _event(clock, "run", "invoke", run="c-3", thread="t")
    yield _event(clock, "commit", "ok", run="c-3", slot=SLOT, parent="", head="h", status="running")
    yield _event(clock, "cancelling", "ok", run="c-3")
    yield _event(clock, "commit", "fail", run="c-3", slot=SLOT, parent="h", head="i", status="running")
    for f, answer in (("ok", "closed"), ("fail", "dup")):
        yield _event(clock, "settle", f, run="c-1", slot=SLOT, head="", task="task", answer=answer)
    yield _event(clock, "hint", "ok", count=1)


def _event(clock: Clock, op: str, f: str, **about: Any) -> Event:
    t = clock()
    return {"t": t, "done": t + 0.0005, "pid": 7, "op": op, "f": f, **about}
