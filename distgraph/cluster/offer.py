"""Tasks that travel: which, to whom, and how they are hinted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distgraph.cluster.commit import open_superstep
from distgraph.cluster.hints import NodeHint, path_text
from distgraph.cluster.naps import length
from distgraph.cluster.nested import Later
from distgraph.cluster.registry import Served
from distgraph.cluster.run import Run, open_run, outcomes_at
from distgraph.cluster.workplace import Workplace
from distgraph.errors import GraphSleep
from distgraph.ledger.replies import Address
from distgraph.superstep.model import Task

#: A wide superstep runs here this long before the rest may be offered to idle slots. Seconds.
IN_PLACE = 0.005
#: A task that takes less than this is not worth its way: claim, settlement and their share of a message. Seconds.
WORTH_A_WAY = 0.0005
#: Tasks of one hint, at most: a message costs more than a small node.
PACK = 64


def travels(run: Any, tasks: Sequence[Task]) -> bool:
    """Whether this superstep has tasks that are to run as Celery tasks of their own."""
    default = run.options.placement
    return any(
        not task.writes and (task.node.queue or (task.node.placement or default) == "spread") and not task.node.hidden
        for task in tasks
    )


def worth_offering(place: Workplace, run: Any, tasks: Sequence[Task], spent: float, ran: int) -> bool:
    """Whether the rest of a superstep is better offered to other slots, after ``ran`` tasks in ``spent`` seconds."""
    if len(tasks) < 2 or run.options.placement != "auto" or spent < max(IN_PLACE, WORTH_A_WAY * ran):
        return False
    return place.idle() > 0 and place.dispatcher.reachable()


def offer(place: Workplace, run: Run, tasks: Sequence[Task]) -> bool:
    """Offer what is not settled to all workers. True: everything is settled and this slot drives on."""
    word = open_superstep(place, run, tasks)
    if word == "closed":
        run.lane.settle(outcomes_at(place, run.address, run.lane.stored.id, run.epoch))
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
    # Read before and after the claims: a task that is claimed, or fails and waits for its next attempt, between two
    # reads is seen to wait by one of them, and is not taken for lost (and tried too early) on what both missed.
    before = place.runs.record(address)
    claims = place.runs.claims(address)
    record = place.runs.record(address)
    head = place.runs.read_line(address.thread_id, ["head"])[0]
    if not record or not head or record.get("status") != b"running":
        return
    run = open_run(place, served, address, head.decode(), record)
    run.lane.limit(int(record.get("stop", b"0")) or None)
    tried = place.runs.tried(address)
    # After the claims: one that was given back between the two is seen to sleep.
    busy = claims.keys() | place.runs.asleep(address)
    waiting = [
        task
        for task in run.lane.look().tasks
        if task.id not in run.lane.pending and task.id not in busy and f"p:{task.id}" not in {**before, **record}
    ]
    # Whoever had it died: its hint is used up, and it has waited its turn.
    place.dispatcher.publish(node_hints(run, [task for task in waiting if task.id in tried]), first=True)
    # The hint of another one that still waits in its queue is late, not lost; so it may be where too many wait.
    waiting = [task for task in waiting if task.id not in tried]
    queues = {queue: place.dispatcher.expected(queue) for queue in {task.node.queue for task in waiting}}
    lost = [task for task in waiting if (here := queues[task.node.queue]) is not None and task.id not in here]
    place.dispatcher.publish(node_hints(run, lost))


def put_off(place: Workplace, run: Run, task: Task, attempt: int, pause: float | GraphSleep) -> None:
    """Give a task of an open superstep back that failed or sleeps, due again after ``pause`` (seconds).

    This slot holds it; its next attempt is anybody's.
    """
    if isinstance(pause, GraphSleep):
        ms, until = length(pause)
        where = (run.address, place.slot, run.epoch, run.lane.stored.id)
        place.runs.sleep_task(*where, task.id, pause.key, ms=ms, until=until)
        return
    place.runs.retry_task(
        run.address,
        place.slot,
        run.epoch,
        run.lane.stored.id,
        task.id,
        wait_ms=int(pause * 1000),
        attempts=attempt - isinstance(pause, Later),
        path=path_text(task),
    )
