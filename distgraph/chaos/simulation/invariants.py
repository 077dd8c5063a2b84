"""What must hold when a schedule has come to its end. Numbers as in the list of ops/docs/chaos.md."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from distgraph.chaos.simulation import graphs
from distgraph.chaos.simulation.clients import BatchClient, Client, RunClient
from distgraph.chaos.simulation.schedule import Subject
from distgraph.checkpoint.lines import decode_record
from distgraph.cluster.failures import rebuild
from distgraph.cluster.workplace import CRASHES_ALLOWED
from distgraph.errors import PoisonTaskError, RunCancelledError, RunTimeoutError, StepTimeoutError
from distgraph.ledger.replies import Address

if TYPE_CHECKING:
    from distgraph.chaos.simulation.world import World

#: Executions that one fault may cause to be repeated: as much as one driver has in its hands between two commits.
_REPEATED = 16
#: After one schedule of so many everything is deleted, to see that nothing is left: that costs as much as the rest.
_LEFTOVERS = 8


def check(world: World) -> None:
    """Check all that can be seen once nothing is left to happen."""
    world.heal()
    for client in world.clients:
        if isinstance(client, RunClient):
            _check_run(world, client)
        elif isinstance(client, BatchClient):
            _check_batch(world, client)
    _check_attempts(world)
    _check_threads(world)
    _check_amplification(world)
    _check_rest(world)
    if not world.history.violations:
        _check_read_again(world)
        if world.schedule.seed % _LEFTOVERS == 0:
            _check_nothing_is_left(world)


def _ok(world: World, what: str) -> None:
    world.history.oks[what] += 1


# ----------------------------------------------------------------- outcomes


def _check_run(world: World, client: RunClient) -> None:
    """I1 to I4: the run came to what one process comes to, every result from one execution, its history in a line."""
    name, final = f"run {client.run_id!r}", client.final
    if isinstance(final, RunCancelledError):
        if not client.subject.cancel and client.subject.strategy not in ("interrupt", "rollback"):
            world.history.violate("I1", f"{name} was cancelled by nobody")
    elif isinstance(final, PoisonTaskError):
        world.history.quarantined(name)
        _ok(world, "quarantined")
        _check_poison(world, client.subject, client.run_id)
    elif _ended_by_its_limits(client.subject, final):
        _ok(world, "run failed")
    elif client.subject.deadly:
        world.history.violate("I10", f"{name} kills its process and came to an end nevertheless")
    else:
        _check_state(world, client.subject, client.run_id, final)
        _ok(world, "run done")
    _check_budget(world, client.subject, client.run_id, final)
    _check_line(world, client)
    _check_log(world, client)


def _check_batch(world: World, client: BatchClient) -> None:
    subject, violate = client.subject, world.history.violate
    status, rows = client.final
    name = f"batch {client.batch_id!r}"
    if status.done + status.failed + status.cancelled != status.total:
        violate("I1", f"{name} does not add up: {status}")
    if [row.index for row in rows] != list(range(status.total)) or status.total > subject.items:
        violate("I1", f"{name} has rows of {[row.index for row in rows]}, of {subject.items} items")
    if status.total != subject.items and not subject.cancel:
        violate("I1", f"{name} has {status.total} items of {subject.items}")
    if (kept := world.memory.batches.counts(client.batch_id).total) != status.total and not subject.cancel:
        violate("I1", f"{name} has {status.total} items, but its parts count {kept}")
    counted = Counter(row.status for row in rows)
    if (counted["done"], counted["failed"]) != (status.done, status.failed):
        violate("I1", f"{name} counts {status.done} done and {status.failed} failed, but has the rows {dict(counted)}")
    for row in rows:
        _check_row(world, subject, row)
        _ok(world, f"item {row.status}")


def _check_row(world: World, subject: Subject, row: Any) -> None:
    name, violate = f"item {row.run_id!r}", world.history.violate
    if row.status == "done":
        if row.index < subject.deadly:
            violate("I10", f"{name} kills its process and came to an end nevertheless")
        else:
            _check_state(world, subject, row.run_id, row.value, row.index)
            _check_budget(world, subject, row.run_id, row.value)
    elif row.status == "cancelled":
        if not subject.cancel:
            violate("I1", f"{name} was cancelled by nobody")
    else:
        error = rebuild(row.error)
        if _ended_by_its_limits(subject, error):
            _check_budget(world, subject, row.run_id, error)
        elif not isinstance(error, PoisonTaskError) and not subject.cancel:
            violate("I1", f"{name} failed: {type(error).__name__}: {error}")
        elif isinstance(error, PoisonTaskError):
            world.history.quarantined(name)
            _check_poison(world, subject, row.run_id)


def _ended_by_its_limits(subject: Subject, final: Any) -> bool:
    """Whether an error is one that a time limit, or a budget, may lead to."""
    if isinstance(final, graphs.Failure):
        return subject.budget is not None
    return subject.limited and isinstance(final, RunTimeoutError | StepTimeoutError)


def _check_budget(world: World, subject: Subject, run_id: str, final: Any) -> None:
    """I10: a run has as many retries as its budget, and as many more as tasks of it may fail at the same time; not fewer."""
    if subject.budget is None:
        return
    made = len(world.history.facts.retries.get(run_id, ()))
    _, beside = graphs.RETRIED[subject.graph]
    most = subject.budget + beside - 1 if subject.budget else 0
    if made > most:
        world.history.violate("I10", f"{run_id!r} had {made} retries, with a budget of {subject.budget}")
    if isinstance(final, graphs.Failure):
        _ok(world, "budget spent")
        if made < subject.budget:
            world.history.violate("I10", f"{run_id!r} failed after {made} retries, with a budget of {subject.budget}")


def _check_poison(world: World, subject: Subject, run_id: str) -> None:
    """I10: no more processes die of a poisonous task than are needed to know it."""
    if subject.deadly and not world.rolled_back:
        history = world.history
        deaths = sum(one.node == "poison" and one.run_id == run_id for one in history.executions)
        others = sum(count for kind, count in history.faults.items() if kind not in ("poison", "repeat"))
        if not CRASHES_ALLOWED - others <= deaths <= CRASHES_ALLOWED + others:
            history.violate("I10", f"{run_id!r} was quarantined after it had killed {deaths} processes")


def _check_state(world: World, subject: Subject, run_id: str, state: Any, index: int = 0) -> None:
    name = f"{'item' if subject.items else 'run'} {run_id!r}"
    if subject.strategy == "interrupt":
        _check_goes_on(world, subject, name, state)
        return
    wanted = _wanted(world, subject, run_id, subject.total + index)
    if not isinstance(state, dict) or graphs.shown(state) not in wanted:
        world.history.violate("I3", f"{name} came to {state!r}, which shows as none of {wanted}")
        return
    executions, seen = world.history.executions, set()
    for node, number, key in graphs.numbers(state):
        if not 0 < number <= len(executions) or (executions[number - 1].node, executions[number - 1].key) != (
            node,
            key,
        ):
            world.history.violate("I2", f"{name} has a result of {node!r} that no execution gave")
        elif number in seen:
            world.history.violate("I2", f"{name} has the result of execution {number} of {node!r} twice")
        seen.add(number)


def _wanted(world: World, subject: Subject, run_id: str, total: int) -> list[Any]:
    """What the final state may show."""
    answers = graphs.ANSWERS if subject.rivals > 1 else graphs.ANSWERS[:1]
    if subject.graph not in graphs.ASKING:
        answers = ("",)
    if subject.told:
        told = len(world.history.facts.changes.get(run_id, ()))
        if subject.graph in graphs.ASKING and told != 1:
            world.history.violate("I3", f"what {run_id!r} asked was answered {told} times")
        return [graphs.expected_told(subject.graph, total, answer, told) for answer in answers]
    every = range(1, subject.runs + 1)
    return [graphs.expected(subject.graph, total, times, answer) for times in every for answer in answers]


def _check_goes_on(world: World, subject: Subject, name: str, state: Any) -> None:
    """I3: a run went on from where an interrupted one stood: its own nodes come last, each once, after some of that one's."""
    _, _, whole, _, _ = graphs.expected(subject.graph, subject.total)
    trace = graphs.shown(state)[2]
    before, own = trace[: -len(whole)], trace[-len(whole) :]
    if own != whole or before != whole[: len(before)]:
        world.history.violate("I3", f"{name} came to the trace {trace}, which does not end with {whole}")
    numbers = [number for _, number, _ in graphs.numbers(state)]
    if len(set(numbers)) != len(numbers):
        world.history.violate("I2", f"{name} has the result of an execution twice: {numbers}")


def _check_attempts(world: World) -> None:
    """I10: of a task that failed and was tried again, every attempt is counted once."""
    attempts: dict[str, set[int]] = {}
    for one in world.history.executions:
        if one.node.startswith("attempt "):
            attempts.setdefault(one.key, set()).add(one.attempt)
    for key, found in attempts.items():
        if sorted(found) != list(range(1, len(found) + 1)):
            world.history.violate("I10", f"task {key} had the attempts {sorted(found)}")


def _check_threads(world: World) -> None:
    """I17: runs that share a thread came one after the other, each on top of what was there."""
    rivals = [client for client in world.clients if isinstance(client, RunClient) and client.subject.runs > 1]
    for subject in {id(client.subject): client.subject for client in rivals}.values():
        finals = [client.final for client in rivals if client.subject is subject]
        states = [final for final in finals if isinstance(final, dict)]
        lengths = sorted(len(state["trace"]) for state in states)
        if len(states) == subject.runs and len(set(lengths)) != len(lengths) and not world.rolled_back:
            world.history.violate("I17", f"runs on one thread came to states of the same length: {lengths}")


# ----------------------------------------------------------------- what is stored


def _check_line(world: World, client: RunClient) -> None:
    """I4: the head's ancestors are all the checkpoints there are, steps without a gap."""
    state, thread = world.memory.state, (client.thread_id, "")
    line = state.lines.look(thread)
    codec = client.desk.codec_of(client.subject.graph)
    ids = set(state.history.look(thread))
    steps: list[int] = []
    at: str | None = line.get("head", b"").decode()
    while at and f"c:{at}" in line:
        found, _ = decode_record(codec, at, line[f"c:{at}"])
        ids.discard(at)
        steps.append(found.step)
        at = found.parent
    if client.subject.keep == "all" and ids:
        world.history.violate("I4", f"thread {client.thread_id!r} has checkpoints beside its line: {sorted(ids)}")
    if client.subject.keep == "all" and client.subject.runs == 1:
        numbers = steps[::-1]
        if numbers and numbers != list(range(-1, len(numbers) - 1)):
            world.history.violate("I4", f"run {client.run_id!r} has the steps {numbers}")


def _check_log(world: World, client: RunClient) -> None:
    """I12: the log tells every superstep once, in order."""
    if not client.subject.log or client.subject.runs > 1:
        return
    entries = world.memory.runs.log(Address(client.run_id, client.thread_id), "0")
    codec = client.desk.codec_of(client.subject.graph)
    told = [codec.decode(entry) for _, entry in entries]
    steps = [entry[1] for entry in told if entry[0] == "step"]
    if steps and steps != list(range(steps[0], steps[0] + len(steps))):
        world.history.violate("I12", f"the log of run {client.run_id!r} tells of the steps {steps}")
    ends = [entry[1] for entry in told if entry[0] == "end"]
    # Others are appended at once, by whoever was taken for dead too.
    committed = [entry[0] for entry in told if entry[0] in ("go", "step", "end")]
    if ends.count("done") > 1 or (committed and committed[-1] != "end"):
        world.history.violate("I12", f"the log of run {client.run_id!r} tells of the ends {ends}, but not as its last")


def _check_amplification(world: World) -> None:
    """I14: nothing runs twice without a reason."""
    history = world.history
    repeated = len(history.executions) - len({(one.key, one.attempt, one.node) for one in history.executions})
    # Who is patient throws nothing away that was worked out.
    patient = ("ledger away",) if world.schedule.patient else ()
    harmless = ("repeat", "drop hints", "broker away", *patient)
    reasons = sum(count for kind, count in history.faults.items() if kind not in harmless)
    # A roll-back undoes more than one commit.
    reasons += history.faults["roll back"]
    # Failed items begin their last superstep anew.
    reasons += history.oks["retried"] + history.oks["out of time"] + history.oks["told"]
    if repeated > reasons * _REPEATED:
        history.violate("I14", f"{repeated} executions were repeated, for {reasons} reasons")
    for key, times in history.deeds.items():
        if times > 1 + reasons:
            history.violate("I14", f"the effect {key!r} was applied {times} times")


def _check_rest(world: World) -> None:
    """I9: what is at rest holds nothing and is owed nothing."""
    state, violate = world.memory.state, world.history.violate
    for key, record in state.records.items():
        status = record.get("status", b"?")
        if record.get("lease"):
            violate("I9", f"run {key.run_id!r} is {status.decode()}, and leased to {record['lease'].decode()}")
        if status == b"done" and (state.outcomes.look(key) or state.claims.look(key) or state.tries.look(key)):
            violate("I9", f"run {key.run_id!r} is done, and has outcomes, claims or tries of its tasks")
        if status in (b"queued", b"running"):
            violate("I1", f"run {key.run_id!r} is {status.decode()}, and nothing is left to happen")
    for (thread, _), line in state.lines.items():
        if line.get("run") and not thread.startswith("batch"):
            violate("I9", f"thread {thread!r} is held by run {line['run'].decode()!r}")
    for at, part in state.parts.items():
        if part.promoted and part.state != "cancelled":
            violate("I1", f"batch {at} counts {part.promoted} items that go on as runs")
    if any(state.slices.values()) or any(state.ready.values()):
        violate("I9", "slices or ready items are left of batches at rest")


def _check_read_again(world: World) -> None:
    """I5: what a client was told, it is told again."""
    for client in world.clients:
        if isinstance(client, RunClient) and isinstance(client.final, dict) and client.subject.runs == 1:
            again = client.desk.run(client.run_id).result(0)
            if again != client.final:
                world.history.violate("I5", f"run {client.run_id!r} was {client.final!r}, and is {again!r} now")
        elif isinstance(client, BatchClient):
            rows = list(client.desk.batch(client.batch_id).results())
            if rows != client.final[1] and not client.subject.cancel:
                world.history.violate("I5", f"batch {client.batch_id!r} has other rows now")


# ----------------------------------------------------------------- nothing is left


def _check_nothing_is_left(world: World) -> None:
    """I8: what is deleted is gone, to the last key."""
    for client in world.clients:
        _delete(world, client)
    state = world.memory.state
    tables = (
        "records",
        "submitted",
        "outcomes",
        "claims",
        "tries",
        "logs",
        "effects",
        "effects_over",
        "turns",
        "threads",
        "due",
    )
    batches = (
        "manifests",
        "opened",
        "active",
        "parts",
        "digests",
        "finished",
        "inputs",
        "ready",
        "slices",
        "rows",
        "crashes",
    )
    for name in (*tables, *batches):
        left = {key: held for key, held in getattr(state, name).items() if held or not isinstance(held, dict)}
        if left:
            world.history.violate("I8", f"of {name} something is left: {sorted(map(str, left))[:3]}")
    lines = [thread for (thread, _), line in state.lines.items() if line and thread.startswith("batch")]
    if lines:
        world.history.violate("I8", f"lines of items are left: {lines}")


def _delete(world: World, client: Client) -> None:
    if isinstance(client, RunClient):
        address = Address(client.run_id, client.thread_id)
        world.memory.runs.control("cancel", address, "end")
        world.memory.runs.delete(address)
    elif isinstance(client, BatchClient):
        client.desk.batch(client.batch_id).delete()
