"""The coordinator: takes a run that is ready, advances it superstep by superstep, commits, hints.

There is no resident coordinator: whoever is handed a hint, or closes a barrier, drives on for a quantum. Each superstep
is one commit, compare-and-set on (epoch, parent checkpoint): a driver that lost its run finds out there and stops.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from distgraph.checkpoint.lines import decode_record, value_field
from distgraph.cluster import events
from distgraph.cluster.failures import describe
from distgraph.cluster.hints import NodeHint, RunHint, path_text
from distgraph.cluster.lane import Lane, context_for
from distgraph.cluster.options import RunOptions
from distgraph.cluster.registry import Served
from distgraph.cluster.workplace import CRASHES_ALLOWED, HINT_GRACE_MS, LEASE_CHECK_MS, QUANTUM, Workplace
from distgraph.constants import ERROR, INTERRUPT
from distgraph.engine.retry import next_delay
from distgraph.errors import DistgraphError, GraphRecursionError, PoisonTaskError, StoreError
from distgraph.ledger.lines import numbered
from distgraph.ledger.replies import Address, Commit, Record
from distgraph.superstep.advance import Verdict
from distgraph.superstep.identity import path_key
from distgraph.superstep.model import Task
from distgraph.types import Write

log = logging.getLogger(__name__)

#: A wide superstep runs here this long before the rest may be offered to idle slots. Seconds.
IN_PLACE = 0.005
#: A task that takes less than this is not worth its way: claim, settlement and their share of a message. Seconds.
WORTH_A_WAY = 0.0005
#: Tasks of one hint, at most: a message costs more than a small node.
PACK = 64


class Run:
    """One leased run: its record, its lane, its address."""

    __slots__ = ("address", "batch_epoch", "epoch", "first", "lane", "options", "record", "served", "until")

    def __init__(self, address: Address, served: Served, options: RunOptions, record: Record, lane: Lane) -> None:
        self.address, self.served, self.options, self.record, self.lane = address, served, options, record, lane
        self.epoch = int(record["epoch"])
        self.batch_epoch = record.get("batch_e", b"").decode()
        self.until = 0.0
        #: Nothing was committed yet since the run was submitted or resumed.
        self.first = "stop" not in record or record.get("go", b"") == lane.stored.id.encode()

    def row(self, kind: str, data: bytes) -> bytes:
        """The result row of a batch item; empty for a run that is none."""
        return result_row(kind, self.record.get("key", b""), data) if self.batch_epoch else b""

    def mark(self, task: Task) -> str:
        """What the slot's row says while ``task`` runs."""
        return f"n:{self.address.run_id}\n{self.address.thread_id}\n{task.name}"


def result_row(kind: str, key: bytes, data: bytes) -> bytes:
    """A batch item's row: 'd' (done) or 'f' (failed), the length of the item's key, the key, the output or error."""
    return kind.encode() + len(key).to_bytes(4, "big") + key + data


def split_row(row: bytes) -> tuple[str, bytes, bytes]:
    """(kind, key, data) from ``result_row``."""
    size = int.from_bytes(row[1:5], "big")
    return chr(row[0]), row[5 : 5 + size], row[5 + size :]


def drive(place: Workplace, hint: RunHint) -> None:
    """Drive a run on, if it needs driving and this process can."""
    served = place.registry.find(hint.graph, hint.fingerprint)
    if served is None:
        pass_on(place, hint)
        return
    address = Address(hint.run_id, hint.thread_id)
    claimed = place.runs.claim(address, place.slot, sweep_ms=LEASE_CHECK_MS)
    if claimed.kind == "open" and hint.again:
        offer_again(place, served, address)
    if claimed.kind == "ok":
        carry_on(place, served, address, claimed.head, claimed.record)


def pass_on(place: Workplace, hint: Any) -> None:
    """Hand a hint for a graph this process does not serve to whoever comes next; after some hops a sweep takes over."""
    if hint.hops < 20:
        place.dispatcher.publish([hint._replace(hops=hint.hops + 1)])


def carry_on(
    place: Workplace,
    served: Served,
    address: Address,
    head: str,
    record: Record,
    settled: Mapping[str, list[Write]] | None = None,
) -> None:
    """Drive a run whose lease this slot holds, for a quantum; ``settled`` are tasks it has run already, by id."""
    try:
        run = open_run(place, served, address, head, record)
        run.lane.pending.update(settled or {})
        run.until = place.monotonic() + QUANTUM
        if int(record.get("x", b"0")) >= CRASHES_ALLOWED:
            _fail(place, run, _poison(address.run_id, int(record["x"])))
            return
        _drive_until_rest(place, run)
    except StoreError:
        raise
    except DistgraphError as exc:
        # The checkpoint cannot be read or the state cannot be stored: trying again would end the same way.
        log.warning("run %s cannot go on: %s", address.run_id, exc)
        _fail_unread(place, address, head, record, exc)


def open_run(place: Workplace, served: Served, address: Address, head: str, record: Record) -> Run:
    """Read a leased run from the ledger and stand at its head.

    Raises:
        CheckpointCorruptError: the head cannot be read.
    """
    options = RunOptions.of(served.codec.decode(record["config"]))
    emit = events.emitter(place, served, address) if options.log else None
    effects = events.LedgerEffects(place.runs, served.codec, address)
    ctx = context_for(served, options, run_id=address.run_id, thread_id=address.thread_id, effects=effects, emit=emit)
    lane = Lane(place, served, options, ctx)
    if head:
        load_head(place, lane, address, head)
        lane.settle(place.runs.outcomes(address))
    return Run(address, served, options, record, lane)


def load_head(place: Workplace, lane: Lane, address: Address, head: str) -> None:
    """Stand at checkpoint ``head`` of the run's thread."""
    record = place.runs.read_line(address.thread_id, [f"c:{head}"])[0]
    fields: list[str] = []
    if record is not None:
        bare, _ = decode_record(lane.served.codec, head, record)
        fields = [value_field(channel, version) for channel, version in bare.versions.items()]
    values = place.runs.read_line(address.thread_id, fields)
    lane.load(head, record, dict(zip(fields, values, strict=True)))


# ----------------------------------------------------------------- the loop


def _drive_until_rest(place: Workplace, run: Run) -> None:
    lane = run.lane
    if not _begin(place, run):
        return
    while lane.next is not None and lane.next.verdict is Verdict.RUN:
        tasks = lane.next.tasks
        if not any(not task.writes for task in tasks):
            if not _close(place, run, tasks):
                return
            continue
        if place.draining() or place.monotonic() > run.until:
            stamp = place.runs.release(run.address, place.slot, due_ms=HINT_GRACE_MS)
            if stamp.kind == "ok":
                place.dispatcher.publish([hint_of(run)])
            return
        left = travels(run, tasks) or _run_in_place(place, run, tasks)
        if left == "gone" or (left and not offer(place, run, tasks)):
            return
    if lane.next is not None:
        _rest(place, run, lane.next.verdict)


def _begin(place: Workplace, run: Run) -> bool:
    """Apply the input if that is still to be done, and plan. False: the run ended here."""
    lane, record = run.lane, run.record
    if "stop" in record:
        found, _, version = record.get("base", b"").decode().partition(" ")
        lane.base = (found, version)
        lane.limit(int(record["stop"]))
        if record.get("go", b"") == lane.at.id.encode():
            lane.begin(None)
        lane.look()
        return True
    lane.limit()
    lane.base = (lane.stored.id, lane.stored.clock or "")
    try:
        lane.begin(run.served.codec.decode(record["input"]))
    except Exception as exc:
        _fail(place, run, exc)
        return False
    if lane.at.source == "input" and lane.at.id != lane.stored.id and run.options.keep == "all":
        # The history shows the input by itself; where only the latest is kept it folds into the first superstep.
        return _store(place, run, [])
    lane.look()
    return True


def _run_in_place(place: Workplace, run: Run, tasks: Sequence[Task]) -> str:
    """Run tasks here: '' if all settled, 'wide' if others should have the rest, 'gone' if one waits for a retry."""
    started, ran = place.monotonic(), 0
    for task in tasks:
        if task.writes:
            continue
        if worth_offering(place, run, tasks, place.monotonic() - started, ran):
            return "wide"
        ran += 1
        attempt = int(run.record.get(f"a:{task.id}", b"0")) + 1
        delay = attempt_task(place, run, task, attempt)
        if delay is not None:
            retry_later(place, run, task, attempt, delay, offered=False)
            others = [other for other in tasks if not other.writes and other is not task]
            place.dispatcher.publish(node_hints(run, others))
            return "gone"
    return ""


def worth_offering(place: Workplace, run: Any, tasks: Sequence[Task], spent: float, ran: int) -> bool:
    """Whether the rest of a superstep is better offered to other slots, after ``ran`` tasks in ``spent`` seconds."""
    if len(tasks) < 2 or run.options.placement != "auto" or spent < max(IN_PLACE, WORTH_A_WAY * ran):
        return False
    return place.idle() > 0


def attempt_task(place: Workplace, run: Any, task: Task, attempt: int) -> float | None:
    """One attempt of one task of ``run`` (a Run, or an item of a slice).

    Returns:
        None: it has settled, ``task.writes`` tells how. Else the seconds to wait before its next attempt.
    """
    lane: Lane = run.lane
    answers = run.record.get(f"n:{task.id}")
    given = run.served.codec.decode(answers) if answers else ()
    seconds = run_timeout(task)
    place.watch(run.mark(task), seconds)
    try:
        task.writes = lane.execute(task, answers=given, attempt=attempt, seconds=seconds)
    except BaseException as exc:
        delay = next_delay(task.node.retry, exc, attempt, place.noise(32) / 2**32)
        task.writes = [] if delay is not None else lane.failure(task, exc)
        return delay
    finally:
        place.watch("", None)
    return None


def run_timeout(task: Task) -> float | None:
    """Seconds one attempt of ``task`` may take; None: no limit."""
    policy: Any = task.timeout if task.timeout is not None else task.node.timeout
    limit = getattr(policy, "run_timeout", policy)
    if limit is None:
        return None
    return float(limit.total_seconds()) if hasattr(limit, "total_seconds") else float(limit)


def retry_later(place: Workplace, run: Run, task: Task, attempt: int, delay: float, *, offered: bool) -> None:
    """Give a failed task back, due again after ``delay`` seconds. Its next attempt is anybody's."""
    assert run.lane.next is not None or offered
    if not offered and run.lane.next is not None and not _open_superstep(place, run, run.lane.next.tasks):
        return
    place.runs.retry_task(
        run.address,
        place.slot,
        run.epoch,
        run.lane.stored.id,
        task.id,
        wait_ms=int(delay * 1000),
        attempts=attempt,
        path=path_text(task),
    )


# ------------------------------------------------------- tasks that travel


def travels(run: Any, tasks: Sequence[Task]) -> bool:
    """Whether this superstep has tasks that are to run as Celery tasks of their own."""
    default = run.options.placement
    return any(
        not task.writes and (task.node.queue or (task.node.placement or default) == "spread") and not task.node.hidden
        for task in tasks
    )


def _open_superstep(place: Workplace, run: Run, tasks: Sequence[Task]) -> str:
    """Open the superstep to all workers. '' if the run was lost, 'closed' if nothing is left to do in it."""
    lane = run.lane
    if lane.at.id != lane.stored.id and not _store_unstored(place, run):
        return ""
    settled = {task.id: place.nonce() + lane.outcome(task.writes) for task in tasks if task.writes}
    answer = place.runs.offer(
        run.address, place.slot, run.epoch, lane.stored.id, len(tasks), settled, sweep_ms=LEASE_CHECK_MS
    )
    return answer.kind if answer.kind != "stale" else ""


def _store_unstored(place: Workplace, run: Run) -> bool:
    """Tasks are known by their checkpoint: a head that only this process has must be stored before they travel."""
    tasks = run.lane.next.tasks if run.lane.next else []
    return _store(place, run, [], replan=tasks)


def offer(place: Workplace, run: Run, tasks: Sequence[Task]) -> bool:
    """Offer what is not settled to all workers. True: everything is settled and this slot drives on."""
    word = _open_superstep(place, run, tasks)
    if word == "closed":
        run.lane.settle(place.runs.outcomes(run.address))
        return True
    if word:
        place.dispatcher.publish(node_hints(run, [task for task in tasks if not task.writes]))
    return False


def node_hints(run: Run, tasks: Sequence[Task]) -> list[NodeHint]:
    """Hints for these tasks: one each where the node travels by its own wish, else packed."""
    hints: list[NodeHint] = []
    default = run.options.placement
    packs: dict[str | None, list[Task]] = {}
    for task in tasks:
        if task.node.queue or (task.node.placement or default) == "spread":
            hints.append(_node_hint(run, [task], task.node.queue))
        else:
            packs.setdefault(task.node.queue, []).append(task)
    for queue, members in packs.items():
        size = min(PACK, max(1, len(members) // 8))
        hints += [_node_hint(run, members[at : at + size], queue) for at in range(0, len(members), size)]
    return hints


def _node_hint(run: Run, tasks: Sequence[Task], queue: str | None) -> NodeHint:
    name = tasks[0].name if len(tasks) == 1 else f"{tasks[0].name} +{len(tasks) - 1}"
    return NodeHint(
        run.address.run_id,
        run.address.thread_id,
        run.served.name,
        run.served.fingerprint,
        run.epoch,
        run.lane.stored.id,
        [(task.id, list(task.path)) for task in tasks],
        name,
        tasks[0].step,
        queue,
    )


def offer_again(place: Workplace, served: Served, address: Address) -> None:
    """Hint the tasks of an open superstep that are neither settled nor claimed: their hints were lost."""
    record = place.runs.record(address)
    head = place.runs.read_line(address.thread_id, ["head"])[0]
    if not record or not head or record.get("status") != b"running":
        return
    run = open_run(place, served, address, head.decode(), record)
    run.lane.limit(int(record.get("stop", b"0")) or None)
    claims = place.runs.claims(address)
    waiting = [
        task
        for task in run.lane.look().tasks
        if task.id not in run.lane.pending and task.id not in claims and f"p:{task.id}" not in record
    ]
    place.dispatcher.publish(node_hints(run, waiting))


def hint_of(run: Run, *, again: bool = False) -> RunHint:
    """The hint to drive this run on."""
    return RunHint(run.address.run_id, run.address.thread_id, run.served.name, run.served.fingerprint, again=again)


# ----------------------------------------------------------------- commits


def _close(place: Workplace, run: Run, tasks: Sequence[Task]) -> bool:
    """All tasks have settled: advance, or stop where one failed or asks. False: the run is not ours any more."""
    lane = run.lane
    failed = [task for task in tasks if not task.finished and task.control(ERROR) is not None]
    asking = [task for task in tasks if not task.finished and task.control(INTERRUPT) is not None]
    if failed or asking:
        # Whoever resumes finds what the others did: their outcomes stay, under this checkpoint.
        if int(run.record.get("plan", b"0")) == 0 and _open_superstep(place, run, tasks) != "closed":
            return False
        if failed:
            _end(place, run, "failed", error=failed[0].control(ERROR))
        else:
            _end(place, run, "interrupted", waiting=asking)
        return False
    try:
        lane.advance()
    except Exception as exc:
        _fail(place, run, exc)
        return False
    run.record = {**run.record, "plan": b"0"} if "plan" in run.record else run.record
    return _store(place, run, tasks)


def _store(
    place: Workplace,
    run: Run,
    tasks: Sequence[Task],
    *,
    replan: Sequence[Task] = (),
) -> bool:
    """Commit the head. False: refused, or the run ended with it."""
    lane = run.lane
    try:
        change = lane.changes({"source": lane.at.source, "step": lane.at.step, "parents": {}, **run.options.metadata})
    except Exception as exc:
        _fail(place, run, exc)
        return False
    verdict = lane.look().verdict if lane.next is None or replan or not tasks else lane.next.verdict
    for old, new in zip(replan, lane.next.tasks if lane.next else (), strict=False):
        new.writes = old.writes
    more: list[tuple[str, bytes | str | int]] = []
    if "stop" not in run.record:
        more += [("stop", lane.rules.stop), ("base", " ".join(lane.base))]
        run.record = {**run.record, "stop": str(lane.rules.stop).encode()}
    logged = [events.step_entry(run, tasks, change)] if run.options.log else []
    run.first = False
    done = verdict is Verdict.DONE
    row = b""
    if done:
        output = lane.output()
        more.append(("output", output))
        row = run.row("d", output)
        if run.options.log:
            logged.append(events.end_entry(run, "done"))
    kept: list[tuple[str, bytes]] = []
    if run.options.keep == "all" and lane.stored.id:
        wrote = [(task.id, path_key(task.path), lane.outcome(task.writes)) for task in tasks]
        kept = numbered(lane.stored.id, wrote)
    answer = place.runs.commit(
        Commit(
            run.address,
            place.slot,
            run.epoch,
            lane.stored.id,
            lane.at.id,
            "done" if done else "running",
            LEASE_CHECK_MS,
            offered=True,
            sets=change.sets,
            drops=change.drops,
            fields=more,
            log=logged,
            kept=kept,
            index_history=run.options.keep == "all",
            batch_epoch=run.batch_epoch,
            row=row,
            compact=bool(row),
        )
    )
    if answer.kind != "ok":
        log.debug("run %s: superstep %s refused: %s", run.address.run_id, lane.at.step, answer)
        return False
    lane.committed()
    if done:
        lane.next = None
        if run.batch_epoch:
            place.runs.forget_effects(run.address)
    return not done


def _rest(place: Workplace, run: Run, verdict: Verdict) -> None:
    """The run stops without another superstep."""
    if verdict is Verdict.DONE:
        _end(place, run, "done")
    elif verdict is Verdict.OUT_OF_STEPS:
        limit = run.options.recursion_limit
        _fail(
            place,
            run,
            GraphRecursionError(
                f"Recursion limit of {limit} reached without hitting a stop condition, at step {run.lane.at.step} of run "
                f"{run.address.run_id!r}. The state is saved. Raise config['recursion_limit'], or look for a loop that "
                "does not end."
            ),
        )
    else:
        _end(place, run, "interrupted", stop=verdict.value)


def _fail(place: Workplace, run: Run, exc: BaseException) -> None:
    _end(place, run, "failed", error=describe(exc))


def _end(
    place: Workplace,
    run: Run,
    status: str,
    *,
    error: Any = None,
    waiting: Sequence[Task] = (),
    stop: str = "",
) -> None:
    """Bring the run to rest without moving its head."""
    lane, codec = run.lane, run.served.codec
    fields: list[tuple[str, bytes | str | int]] = []
    row = b""
    if error is not None:
        data = codec.encode(error)
        fields.append(("error", data))
        row = run.row("f", data)
    if status == "done":
        output = lane.output()
        fields.append(("output", output))
        row = run.row("d", output)
    if stop:
        fields.append(("stopped", stop))
    if status == "interrupted":
        fields.append(("output", lane.output()))
        fields.append(("asked", codec.encode([task.control(INTERRUPT) for task in waiting])))
    logged = [events.end_entry(run, status, error=error, waiting=waiting)] if run.options.log else []
    place.runs.commit(
        Commit(
            run.address,
            place.slot,
            run.epoch,
            lane.stored.id,
            "",
            status,
            offered=True,
            fields=fields,
            log=logged,
            batch_epoch=run.batch_epoch,
            row=row,
            compact=bool(row),
        )
    )


def _fail_unread(place: Workplace, address: Address, head: str, record: Record, exc: BaseException) -> None:
    served = place.registry.find(record["graph"].decode(), record["fp"].decode())
    if served is None:
        return
    options = RunOptions.of(served.codec.decode(record["config"]))
    run = Run(
        address,
        served,
        options,
        record,
        Lane(place, served, options, context_for(served, options, run_id="", thread_id="")),
    )
    run.lane.stored = run.lane.stored._replace(id=head)
    _fail(place, run, exc)


def _poison(run_id: str, crashes: int) -> PoisonTaskError:
    return PoisonTaskError(
        f"Run {run_id!r} was quarantined: {crashes} worker processes died while it ran. Look at what its node does to "
        "its process (memory, os._exit, native code), then retry it."
    )
