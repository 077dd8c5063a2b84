"""``distgraph threads ...``: lines of checkpoints, looked at, forked, copied, pruned and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from distgraph.checkpoint.retention import CheckpointRetention
from distgraph.cli.check import load
from distgraph.cli.exits import EPILOG, FAILED, OK
from distgraph.cli.options import global_options, length_of_time
from distgraph.cli.output import Row, count
from distgraph.cli.plain import dumps, plain
from distgraph.cli.session import Session
from distgraph.errors import InputError, ThreadBusyError

if TYPE_CHECKING:
    from distgraph.checkpoint.line_saver import LineSaver

_GRAPH = click.option(
    "--graph", metavar="MODULE:ATTR", help="The graph whose types the state holds. Plain data need none."
)


@click.group(epilog=EPILOG)
@global_options
def threads() -> None:
    """Lines of checkpoints: looked at, forked, copied, pruned and deleted."""


@threads.command("list", epilog=EPILOG)
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="At most so many.")
@global_options
@click.pass_obj
def list_(session: Session, limit: int) -> int:
    """Threads that have checkpoints, in no order. Walks all keys of the server."""
    with _saver(session, None) as saver:
        found = list(islice(saver.threads(), limit))
    if session.json:
        session.output.document({"threads": found})
    else:
        session.output.text(*(found or ["There is no thread here yet."]))
    return OK


@threads.command(epilog=EPILOG)
@click.argument("thread_id")
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="At most so many.")
@click.option("--values", is_flag=True, help="Show the state at each checkpoint, too.")
@_GRAPH
@global_options
@click.pass_obj
def history(session: Session, thread_id: str, limit: int, values: bool, graph: str | None) -> int:
    """The checkpoints of a thread, the newest first."""
    with _saver(session, graph) as saver:
        rows = [_row(saved, values) for saved in saver.list(_config(thread_id), limit=limit)]
    if not rows:
        raise _no_such(thread_id)
    if session.json:
        session.output.document({"thread_id": thread_id, "checkpoints": rows})
        return OK
    session.output.table(
        list(rows[0]), [[dumps(value) if name == "values" else value for name, value in row.items()] for row in rows]
    )
    return OK


@threads.command(epilog=EPILOG)
@click.argument("thread_id")
@click.argument("to", metavar="NEW_THREAD_ID")
@click.option("--checkpoint", metavar="ID", help="Fork there. Otherwise at the newest checkpoint.")
@_GRAPH
@global_options
@click.pass_obj
def fork(session: Session, thread_id: str, to: str, checkpoint: str | None, graph: str | None) -> int:
    """Begin a new thread with a checkpoint of another: `distgraph run --thread NEW_THREAD_ID` goes on from it.

    What tasks had done after that checkpoint is not taken along: they run again, and ask again.
    """
    with _saver(session, graph) as saver:
        saved = saver.get_tuple(_config(thread_id, checkpoint))
        if saved is None:
            raise _no_such(thread_id, checkpoint)
        if saver.get_tuple(_config(to)) is not None:
            raise InputError(f"There is a thread {to!r} already. Choose another name, or delete it first.")
        at, metadata = saved.checkpoint, {**saved.metadata, "source": "fork"}
        saver.put(_config(to), at, metadata, at["channel_versions"])  # type: ignore[arg-type]
    if session.json:
        session.output.document({"thread_id": to, "checkpoint_id": at["id"]})
    else:
        session.output.text(f"Thread {to} begins with checkpoint {at['id']} of {thread_id}.")
    return OK


@threads.command(epilog=EPILOG)
@click.argument("thread_id")
@click.argument("to", metavar="NEW_THREAD_ID")
@global_options
@click.pass_obj
def copy(session: Session, thread_id: str, to: str) -> int:
    """Copy a thread with its history, what its tasks had done, and graphs nested in it."""
    with _saver(session, None) as saver:
        saver.copy_thread(thread_id, to)
    if session.json:
        session.output.document({"thread_id": to, "copied": thread_id})
    else:
        session.output.text(f"Thread {to} is a copy of {thread_id}.")
    return OK


@threads.command(epilog=EPILOG)
@click.argument("thread_ids", metavar="[THREAD_ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All threads of the namespace. Walks all keys of the server.")
@click.option("--last", type=click.IntRange(1), help="Keep so many of the newest checkpoints.  [default: 1]")
@click.option("--older-than", "age", callback=length_of_time, metavar="TIME", help="Delete those older than, as in 7d.")
@global_options
@click.pass_obj
def prune(session: Session, thread_ids: tuple[str, ...], every: bool, last: int | None, age: Any) -> int:
    """Delete old checkpoints, never the newest one, nor what those that stay need. Threads with an active run are left alone.

    With --last and --older-than, a checkpoint goes that is beyond the one or older than the other.
    """
    if bool(thread_ids) == every:
        raise click.UsageError("Name threads, or say --all.")
    within = timedelta(seconds=age) if isinstance(age, float) else None
    retention = CheckpointRetention(last=last if last or within else 1, age=within)
    pruned, busy = 0, []
    with _saver(session, None) as saver:
        for thread_id in saver.threads() if every else thread_ids:
            try:
                saver.prune([thread_id], strategy=retention)
                pruned += 1
            except ThreadBusyError:
                busy.append(thread_id)
    if session.json:
        session.output.document({"pruned": pruned, "busy": busy})
    else:
        left = f" Left alone, for a run is active: {', '.join(busy)}." if busy else ""
        session.output.text(f"{count(pruned, 'thread')} pruned.{left}")
    return FAILED if busy and not every else OK


@threads.command(epilog=EPILOG)
@click.argument("thread_id")
@global_options
@click.pass_obj
def delete(session: Session, thread_id: str) -> int:
    """Delete a thread's checkpoints, those of nested graphs too. A thread with an active run is left alone."""
    with _saver(session, None) as saver:
        saver.delete_thread(thread_id)
    if session.json:
        session.output.document({"thread_id": thread_id, "deleted": True})
    else:
        session.output.text(f"Thread {thread_id} is deleted.")
    return OK


@contextmanager
def _saver(session: Session, graph: str | None) -> Iterator[LineSaver]:
    with session.cluster() as cluster:
        saver: Any = cluster.saver(cluster.codec(None if graph is None else load(graph)))
        with saver:
            yield saver


def _config(thread_id: str, checkpoint: str | None = None) -> Any:
    named = {"checkpoint_id": checkpoint} if checkpoint else {}
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", **named}}


def _row(saved: Any, values: bool) -> Row:
    row = {
        "checkpoint_id": saved.checkpoint["id"],
        "step": saved.metadata.get("step"),
        "source": saved.metadata.get("source"),
        "created_at": saved.checkpoint["ts"],
    }
    shown = {name: value for name, value in saved.checkpoint["channel_values"].items() if ":" not in name}
    return {**row, "values": plain(shown)} if values else row


def _no_such(thread_id: str, checkpoint: str | None = None) -> InputError:
    what = f"no checkpoint {checkpoint!r} in thread" if checkpoint else "no thread"
    return InputError(f"There is {what} {thread_id!r} here. `distgraph threads list` shows those that are.")
