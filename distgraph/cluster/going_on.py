"""A thread that stopped goes on: whoever left it so, a run of this cluster or a graph in another program."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from distgraph.checkpoint.base import NULL_TASK_ID, CheckpointTuple, from_public
from distgraph.cluster.handle import RunHandle
from distgraph.cluster.nested import known_answers
from distgraph.cluster.options import changed
from distgraph.cluster.outside import FIELD, for_head, recorded
from distgraph.config import ensure_config
from distgraph.engine.opening import command_writes
from distgraph.errors import AlreadyResumedError, ThreadBusyError, UnknownInterruptError
from distgraph.ledger.replies import Address
from distgraph.superstep.model import Program, is_finished
from distgraph.superstep.plan import plan
from distgraph.superstep.resume import answers_of, give_answers, is_answer_map, pending_interrupts
from distgraph.types import Command, Write
from distgraph.wire import Codec

if TYPE_CHECKING:
    from distgraph.cluster.remote import ClusterGraph


def go_on(graph: ClusterGraph, thread: str, given: Any, config: Any, options: dict[str, Any]) -> RunHandle:
    """Answer what a thread asks, or let it go on where it stopped.

    A run that waits is resumed, one that failed is retried. Where the thread was left by somebody else - a graph in this
    or another process, with the saver of this cluster - a new run goes on from its checkpoint: what had finished of the
    superstep does not run again.

    Args:
        graph: the thread's.
        thread: its id.
        given: None, or a Command: an answer, an update of the state, nodes to go to.
        config: of the caller.
        options: of the run: of a new one, or of the one that goes on from now on.

    Raises:
        UnknownInterruptError: nobody asked that.
        AlreadyResumedError: it was answered meanwhile.
        ThreadBusyError: a run is active on the thread.
        EmptyInputError, InvalidUpdateError: a Command without anything in it; one to a node that is not there.
    """
    writes = command_writes(graph.program, given) if isinstance(given, Command) else []
    answer = given.resume if isinstance(given, Command) else None
    change = partial(changed, config=ensure_config(graph.config, config), **options)
    handle, saved = _last_run(graph, thread), None
    if handle is not None and handle.stands():
        status = handle.status()
        if status == "interrupted" or (answer is not None and status not in ("done", "cancelled")):
            return handle.go_on(answer, change, writes)
        if status == "failed":
            return handle.retry(change, writes)
    if graph.checkpointer is not None:
        saved = graph.checkpointer.get_tuple({"configurable": {"thread_id": thread}})
    known, head = what_is_known(graph.program, graph._codec, saved, answer, writes)
    if saved is None and answer is None:
        known, head = for_head(graph._cluster.ledger.lines, graph._codec, thread, writes)
        if writes and not head:
            # Nothing has run on the thread: the Command is its input.
            return graph._submit(given, config, **options)
    if answer is not None and not head:
        # Read again: who answered in the meantime made a run of it.
        handle = _last_run(graph, thread)
        if handle is not None:
            return handle.go_on(answer, change, writes)
        raise UnknownInterruptError(f"Thread {thread!r} asks nothing: there is no question to answer.")
    try:
        return graph._submit(None, config, known=known, head=head, **options)
    except ThreadBusyError as exc:
        if answer is None:
            raise
        raise AlreadyResumedError(f"Thread {thread!r} has gone on with run {exc.run_id!r} meanwhile.") from exc


def _last_run(graph: ClusterGraph, thread: str) -> RunHandle | None:
    last = graph._cluster.ledger.runs.last_run(thread)
    return RunHandle(graph._cluster, Address(last, thread), graph._codec) if last else None


def what_is_known(
    program: Program, codec: Codec, saved: CheckpointTuple | None, answer: Any, writes: Sequence[Write] = ()
) -> tuple[dict[str, bytes], str]:
    """What a saver knows of the tasks after a checkpoint, as fields of a run's record.

    Args:
        program: the graph's.
        codec: of its values.
        saved: the thread's head.
        answer: to what its tasks asked; None: there is none.
        writes: from outside, to be applied there.

    Returns:
        (``o:<task>`` what one that has finished wrote, ``n:<task>`` the answers to one that asked, ``asked`` what was
        asked, ``outside`` what came from outside; the checkpoint's id). The id is '' where nothing is known, or nothing asked.

    Raises:
        UnknownInterruptError: the answer is to something else.
    """
    if saved is None:
        return {}, ""
    pending: dict[str, list[Write]] = {}
    for task_id, channel, value in saved.pending_writes or ():
        if task_id != NULL_TASK_ID:
            pending.setdefault(task_id, []).append((channel, value))
    found = {
        f"o:{tid}": codec.encode([[channel, value] for channel, value in writes])
        for tid, writes in pending.items()
        if is_finished(writes)
    }
    at = from_public(saved)
    outside = [(channel, value) for task_id, channel, value in saved.pending_writes or () if task_id == NULL_TASK_ID]
    if told := recorded(codec, at.id, [*outside, *writes]):
        found[FIELD] = told
    if answer is None:
        return found, at.id if found else ""
    tasks = plan(program, at)
    given = give_answers(tasks, pending, answer, strict=is_answer_map(answer))
    if not given.tasks and not given.nested:
        return {}, ""
    for task in tasks:
        asked = {asked.id for asked in pending_interrupts(pending.get(task.id, ()))}
        nested = {iid: answer for iid, answer in given.nested.items() if iid in asked}
        if task.id in given.tasks or nested:
            own = given.tasks.get(task.id) or answers_of(pending[task.id])
            found[f"n:{task.id}"] = codec.encode(known_answers(own, nested))
    found["asked"] = codec.encode([list(pending_interrupts(writes)) for writes in pending.values()])
    return found, at.id
