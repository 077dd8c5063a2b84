"""``distgraph runs ...``: what ran, what runs, stopping it, and letting it go on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import click

from distgraph.cli.exits import EPILOG, OK
from distgraph.cli.options import global_options
from distgraph.cli.output import Row, cell
from distgraph.cli.plain import dumps, plain
from distgraph.cli.run import read_input, show_result
from distgraph.cli.session import Session
from distgraph.cli.stream import stream
from distgraph.errors import InputError, InvalidAnswerError, LedgerCorruptError, RoutingError, WaitTimeoutError
from distgraph.superstep.lifecycle import RunStatus
from distgraph.types import Command

if TYPE_CHECKING:
    from distgraph.cluster import RunHandle

log = logging.getLogger(__name__)

#: Seconds to wait for the result of a run that is at rest, or soon will be.
AT_REST = 5.0


@click.group(epilog=EPILOG)
@global_options
def runs() -> None:
    """What ran, what runs, stopping it, and letting it go on. Items of batches are found with `distgraph batch`."""


runs.add_command(stream)


@runs.command("list", epilog=EPILOG)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many.")
@click.option("--graph", metavar="NAME", help="Only runs of this graph.")
@click.option(
    "--status", type=click.Choice([status.value for status in RunStatus]), help="Only runs that are there now."
)
@global_options
@click.pass_obj
def list_(session: Session, limit: int, graph: str | None, status: str | None) -> int:
    """The newest runs."""
    with session.cluster() as cluster:
        found = [_row_or_damage(one) for one in cluster.runs(limit, graph=graph, status=status)]
    if session.json:
        session.output.document({"runs": found})
    elif found:
        session.output.table(list(found[0]), [list(row.values()) for row in found])
    elif graph is None and status is None:
        session.output.text("No run has been submitted here yet.")
    else:
        session.output.text("No run here is like that.")
    return OK


@runs.command(epilog=EPILOG)
@click.argument("run_id")
@global_options
@click.pass_obj
def show(session: Session, run_id: str) -> int:
    """Where a run is, and its result if it is done."""
    with session.cluster() as cluster:
        row = _whole(cluster.run(run_id))
    if session.json:
        session.output.document(row)
        return OK
    for name, value in row.items():
        session.output.text(f"{name:<12} {dumps(value, indent=2) if isinstance(value, dict | list) else cell(value)}")
    return OK


@runs.command(epilog=EPILOG)
@click.argument("run_id")
@global_options
@click.pass_obj
def cancel(session: Session, run_id: str) -> int:
    """Cancel a run. Its checkpoints stay."""
    with session.cluster() as cluster:
        handle = cluster.run(run_id)
        handle.cancel()
        show_row(session, handle)
    return OK


@runs.command(epilog=EPILOG)
@click.argument("run_id")
@global_options
@click.pass_obj
def delete(session: Session, run_id: str) -> int:
    """Delete a run that has come to its end. The checkpoints of a thread of its own go too, those of others stay."""
    with session.cluster() as cluster:
        cluster.run(run_id).delete()
    if session.json:
        session.output.document({"run_id": run_id, "deleted": True})
    else:
        session.output.text(f"Run {run_id}: deleted.")
    return OK


@runs.command(epilog=EPILOG)
@click.argument("run_id")
@click.option(
    "--value",
    "given",
    metavar="JSON|@FILE",
    help="The answer; or an object of answers by interrupt id. A run that stands at a breakpoint needs none.",
)
@click.option("--update", "change", metavar="JSON|@FILE", help="Change the state first: an object of keys and values.")
@click.option("--goto", metavar="NODE", multiple=True, help="Run this node next, beside what is due; may be repeated.")
@click.option("--wait", is_flag=True, help="Wait for what the run comes to, as `distgraph run` does.")
@global_options
@click.pass_obj
def resume(
    session: Session, run_id: str, given: str | None, change: str | None, goto: tuple[str, ...], wait: bool
) -> int:
    """Answer what a run asks, and let it go on."""
    value = None if given is None else read_input(given)
    if change is not None or goto:
        value = Command(resume=value, update=None if change is None else read_input(change), goto=goto)
    with session.cluster() as cluster:
        show_resumed(session, cluster.run(run_id), value, wait=wait)
    return OK


def show_resumed(session: Session, handle: RunHandle, value: Any, *, wait: bool) -> None:
    """Answer what a run asks, and show what it comes to, or where it is.

    Raises:
        InputError: a node that the run is to go to is not there.
        InvalidAnswerError: the answer does not fit, as its node has found out by now; the question still waits.
    """
    formed = any(asked.response_schema is not None for asked in handle.interrupts())
    try:
        handle.resume(value)
    except RoutingError as error:
        # No run has failed: it is the caller's word that is wrong, and nothing was started.
        raise InputError(str(error)) from None
    if wait:
        show_result(session, handle)
        return
    if formed:
        _until_taken(handle)
    show_row(session, handle)


def _until_taken(handle: RunHandle) -> None:
    """Wait a moment for the node to take an answer that must have a form, for it alone can say whether it fits."""
    try:
        handle.result(timeout=AT_REST)
    except InvalidAnswerError:
        raise
    except Exception as error:
        # Not at rest yet, or it came to another end: the row that follows says so.
        log.debug("run %s after its answer: %s", handle.run_id, error)


def show_row(session: Session, handle: RunHandle) -> None:
    """Where a run is, in one line."""
    row = _row(handle)
    if session.json:
        session.output.document(row)
    else:
        session.output.text(f"Run {handle.run_id}: {row['status']}.")


def _whole(handle: RunHandle) -> Row:
    """The run with what came out of it: a result, questions among it if it asks, or an error."""
    row = _row(handle)
    if row["status"] in ("done", "interrupted", "failed"):
        try:
            return {**row, "result": plain(handle.result(timeout=AT_REST))}
        except WaitTimeoutError:
            raise
        except Exception as error:
            # An interrupted run has one too, where the last answer was refused.
            return {**row, "error": plain(error)}
    if row["status"] == "waiting_for_worker":
        row["waits_for"] = handle.waits_for()
    if row["status"] == "sleeping" and (wakes := handle.wakes_at()) is not None:
        row["wakes_at"] = wakes.isoformat()
    return {**row, **_limits(handle)}


def _limits(handle: RunHandle) -> Row:
    """The time limit of a run that is not at rest, in seconds, and when it is over if a worker has taken the run."""
    limit = handle.time_limit()
    if limit is None:
        return {}
    length, ends = limit
    row: Row = {"time_limit": length.total_seconds()}
    return row if ends is None else {**row, "ends_at": ends.isoformat()}


def _row(handle: RunHandle) -> Row:
    info = handle.info()
    return {
        "run_id": info.run_id,
        "thread_id": info.thread_id,
        "graph": info.graph,
        "status": plain(info.status),
        "submitted": info.submitted.isoformat(timespec="seconds"),
    }


def _row_or_damage(handle: RunHandle) -> Row:
    """Its row, also where its record is damaged: the others are to be seen all the same."""
    try:
        return _row(handle)
    except LedgerCorruptError:
        return {
            "run_id": handle.run_id,
            "thread_id": handle.thread_id,
            "graph": "",
            "status": "damaged",
            "submitted": "",
        }
