"""Every invariant holds for a sound history, and is broken by the damage it is there for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from distgraph.chaos.checker import INVARIANTS, MOST, check, executions, hints
from distgraph.chaos.facts import Facts, Limits
from distgraph.chaos.history import Event
from tests.unit.chaos.damage import COUNT, OTHER, SLOT, facts

Damage = Callable[[Facts], None]


def events(f: Facts, op: str, /, **like: Any) -> list[Event]:
    return [e for e in f.events if e["op"] == op and all(e.get(name) == value for name, value in like.items())]


def add(f: Facts, op: str, outcome: str = "ok", *, t: float | None = None, **about: Any) -> None:
    last = f.events[-1]["t"] + 0.001 if t is None else t
    event = {"t": last, "done": last, "pid": 7, "op": op, "f": outcome, **about}
    f.events = sorted([*f.events, event], key=lambda e: float(e["t"]))


def again(f: Facts, event: Event, later: float, /, **changes: Any) -> None:
    """The same event once more, a little later, with these changes."""
    f.events = sorted([*f.events, {**event, "t": event["t"] + later, **changes}], key=lambda e: float(e["t"]))


def drop(f: Facts, event: Event) -> None:
    f.events = [one for one in f.events if one is not event]


def value(f: Facts, run: str) -> Any:
    return f.dump.rows[run]["value"]


# ------------------------------------------------------------- the damage


def lose_an_item(f: Facts) -> None:
    del f.dump.rows["b:3"]


def invent_an_item(f: Facts) -> None:
    f.dump.rows["b:99"] = f.dump.rows["b:3"]


def fail_an_item(f: Facts) -> None:
    f.dump.rows["b:3"] = {"status": "failed", "error": {"type": "ValueError"}}


def count_wrongly(f: Facts) -> None:
    f.dump.batches["b"]["done"] += 1


def never_acknowledge(f: Facts) -> None:
    drop(f, events(f, "submit")[0])


def drop_a_write(f: Facts) -> None:
    value(f, "b:3")["marks"].pop()


def double_a_write(f: Facts) -> None:
    value(f, "b:3")["marks"].append(value(f, "b:3")["marks"][-1])


def write_what_never_ran(f: Facts) -> None:
    drop(f, events(f, "node", run="b:3", step=1, f="invoke")[0])


def write_what_never_ended(f: Facts) -> None:
    drop(f, events(f, "node", run="b:3", step=1, f="ok")[0])


def write_what_another_run_did(f: Facts) -> None:
    value(f, "b:3")["marks"][1] = value(f, "b:4")["marks"][1]


def swap_supersteps(f: Facts) -> None:
    marks = value(f, "b:3")["marks"]
    marks[0], marks[1] = marks[1], marks[0]


def add_up_twice(f: Facts) -> None:
    value(f, "b:3")["total"] += 10


def fork_the_history(f: Facts) -> None:
    step = events(f, "step", run="b:3", parent="b:3/0")[0]
    again(f, step, 0.0001, head="b:3/fork")


def skip_a_superstep(f: Facts) -> None:
    drop(f, events(f, "step", run="b:3", head="b:3/1")[0])


def change_what_was_read(f: Facts) -> None:
    events(f, "read")[0]["total"] += 1


def commit_after_the_cancel(f: Facts) -> None:
    add(f, "commit", run="c-3", slot=SLOT, parent="h", head="i", status="running")


def settle_after_the_cancel(f: Facts) -> None:
    add(f, "settle", run="c-3", slot=SLOT, head="h", task="late", answer="ok")


def take_what_is_done(f: Facts) -> None:
    add(f, "take", slice="s2", slot=SLOT, batch="b", chunk=0, start=0, stop=COUNT)
    node = events(f, "node", run="b:3", step=1, f="invoke")[0]
    add(f, "node", "invoke", **{name: node[name] for name in ("run", "step", "branch", "head")}, uid="again")


def claim_what_is_settled(f: Facts) -> None:
    add(f, "claim_task", run="c-1", slot=SLOT, head="", task="task")


def leave_a_strangers_key(f: Facts) -> None:
    f.dump.keys.append("somebody:else")


def leave_a_key_of_nobody(f: Facts) -> None:
    f.dump.keys.append("dg:{n/0}:open:b:3")


def leave_a_key_after_all(f: Facts) -> None:
    f.swept = ["dg:{n/0}:once:b:3"]


def leave_hints(f: Facts) -> None:
    f.dump.waiting = 3


def leave_a_lease(f: Facts) -> None:
    f.dump.unrest.append("run b:3: lease boot:7.0")


def blame_without_a_crash(f: Facts) -> None:
    f.dump.crashes["b:3"] = 2


def quarantine_early(f: Facts) -> None:
    f.dump.rows["b:3"] = {"status": "failed", "error": {"type": "distgraph.errors.PoisonTaskError"}}


def never_end(f: Facts) -> None:
    drop(f, events(f, "ended")[0])


def end_late(f: Facts) -> None:
    events(f, "ended")[0]["t"] += 1000


def leave_a_worker_idle(f: Facts) -> None:
    healed = events(f, "healed")[0]["t"]
    events(f, "ended")[0]["t"] += 10
    for at in range(300):
        add(f, "step", t=healed + 5 + at / 1e6, run="b:3", slot=SLOT, parent="", head="", kind="end", slice="s1")
    add(f, "live", pids=[7, 9])


def go_back(f: Facts) -> None:
    events(f, "status")[-1]["done"] = 1


def stream_twice(f: Facts) -> None:
    steps = events(f, "stream")[0]["steps"]
    steps.append(steps[-1])


def stream_with_a_gap(f: Facts) -> None:
    events(f, "stream")[0]["steps"].pop(1)


def spare_a_child(f: Facts) -> None:
    drop(f, events(f, "kill")[0])


def strike_no_fault(f: Facts) -> None:
    drop(f, events(f, "fault", f="ok")[0])


def do_nothing(f: Facts) -> None:
    f.events = [e for e in f.events if e["op"] not in ("step", "commit")]


def execute_often(f: Facts) -> None:
    for at in range(COUNT):
        add(f, "node", "invoke", run="b:3", step=0, branch=0, head="", uid=f"more-{at}")


def hint_often(f: Facts) -> None:
    for _ in range(100):
        add(f, "hint", count=1)


def raise_a_raw_error(f: Facts) -> None:
    add(f, "run", "fail", run="c-9", error="ConnectionError", known=False)


def raise_an_unknown_error(f: Facts) -> None:
    add(f, "status", "fail", batch="b", error="OperationalError")


def end_a_worker(f: Facts) -> None:
    add(f, "exit", "fail", name="worker-1", code=1)


def leak_memory(f: Facts) -> None:
    events(f, "sample")[-1]["rss"] = [200_000]


def leak_files(f: Facts) -> None:
    events(f, "sample")[-1]["fds"] = [900]


def leak_keys(f: Facts) -> None:
    events(f, "sample")[-1]["keys"] = 5000


def run_two_at_a_time(f: Facts) -> None:
    first = events(f, "commit", run="c-1")[1]
    add(f, "commit", t=first["t"] - 1e-5, run="c-2", slot=SLOT, parent="c-2/x", head="c-2/y", status="running")


def end_with_anothers_parts(f: Facts) -> None:
    run = events(f, "run", run="c-2", f="ok")[0]
    run["marks"] = events(f, "run", run="c-1", f="ok")[0]["marks"]


def apply_twice(f: Facts) -> None:
    f.applied = {**f.applied, "keyed": {"b:0": 2}}


def apply_never(f: Facts) -> None:
    f.applied = {**f.applied, "keyed": {}}


def change_the_key(f: Facts) -> None:
    f.keys = {"b:0": ["key", "other"]}


def call_what_is_recorded(f: Facts) -> None:
    add(f, "once", "invoke", run="b:1", attempt="a2", at="look")
    add(f, "once", "info", run="b:1", attempt="a2", at="call")


def call_never(f: Facts) -> None:
    f.applied = {**f.applied, "once": {}}


DAMAGES: dict[str, list[Damage]] = {
    "I1": [lose_an_item, invent_an_item, fail_an_item, count_wrongly, never_acknowledge],
    "I2": [drop_a_write, double_a_write, write_what_never_ran, write_what_never_ended, write_what_another_run_did],
    "I3": [swap_supersteps, add_up_twice, drop_a_write, double_a_write],
    "I4": [fork_the_history, skip_a_superstep],
    "I5": [change_what_was_read],
    "I6": [commit_after_the_cancel, settle_after_the_cancel],
    "I7": [take_what_is_done, claim_what_is_settled],
    "I8": [leave_a_strangers_key, leave_a_key_of_nobody, leave_a_key_after_all, leave_hints],
    "I9": [leave_a_lease],
    "I10": [blame_without_a_crash, quarantine_early],
    "I11": [never_end, end_late, leave_a_worker_idle],
    "I12": [go_back, stream_twice, stream_with_a_gap],
    "I13": [spare_a_child, strike_no_fault, do_nothing],
    "I14": [execute_often, hint_often],
    "I15": [raise_a_raw_error, raise_an_unknown_error, end_a_worker],
    "I16": [leak_memory, leak_files, leak_keys],
    "I17": [run_two_at_a_time, end_with_anothers_parts],
    "E1": [apply_twice, apply_never, change_the_key],
    "E2": [call_what_is_recorded, call_never],
}


def broken(f: Facts) -> dict[str, tuple[str, ...]]:
    return {finding.name: finding.wrong for finding in check(f) if not finding.holds}


def test_a_sound_history_breaks_nothing() -> None:
    assert broken(facts()) == {}


def test_every_invariant_has_its_damage() -> None:
    assert list(DAMAGES) == list(INVARIANTS)
    assert [finding.says for finding in check(facts()) if not finding.says.endswith(".")] == []


@pytest.mark.parametrize(
    ("name", "damage"),
    [(name, damage) for name, damages in DAMAGES.items() for damage in damages],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_damage_is_found(name: str, damage: Damage) -> None:
    f = facts()
    damage(f)
    # The facts derive what they need when they are asked: from here on the damaged ones.
    assert name in broken(replace(f))


def test_few_of_many_violations_are_told() -> None:
    f = facts()
    f.dump.rows.clear()
    assert len(broken(f)["I1"]) == MOST


def test_of_two_commits_with_unknown_fates_one_may_stand() -> None:
    """The server died with a request; the run went on from where it really was."""
    f = facts()
    step = events(f, "step", run="b:3", parent="b:3/0")[0]
    again(f, step, -0.0001, f="info", head="b:3/lost")
    assert "I4" not in broken(f)


def test_a_second_attempt_that_looked_before_the_record_may_call() -> None:
    f = facts()
    recorded = events(f, "once", at="recorded")[0]
    add(f, "once", "invoke", t=recorded["t"] - 0.0001, run="b:1", attempt="a2", at="look")
    add(f, "once", "info", run="b:1", attempt="a2", at="call")
    assert "E2" not in broken(f)


def test_an_item_may_be_blamed_for_whoever_was_struck_while_holding_it() -> None:
    f = facts()
    f.dump.crashes["b:3"] = 1
    assert "I10" not in broken(f), f"the process of {OTHER} was killed while it held the item"


def test_a_run_that_failed_keeps_what_its_tasks_came_to() -> None:
    f = facts()
    [run] = [event["run"] for event in events(f, "run", f="invoke")][:1]
    f.dump.keys += [f"dg:{{n/1}}:open:{run}", f"dg:{{n/1}}:tries:{run}"]
    assert "I8" in broken(f)
    add(f, "commit", run=run, slot=SLOT, parent="", head="", status="failed")
    assert "I8" not in broken(f)


def test_who_was_born_when_little_was_left_need_not_take_part() -> None:
    f = facts()
    leave_a_worker_idle(f)
    assert "I11" in broken(f)
    add(f, "born", pids=[9], t=events(f, "healed")[0]["t"] + 3)
    assert "I11" not in broken(f)


def test_figures() -> None:
    f = replace(facts(), limits=Limits(executions=2.0))
    assert executions(f) == 1.0
    beside = sum(event["run"] not in f.items for event in f.executions.values())
    assert hints(f) == pytest.approx(1 / (f.tasks + beside))
