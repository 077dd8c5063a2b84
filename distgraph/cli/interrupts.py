"""``distgraph interrupts ...``: what runs ask people, and answering it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from distgraph.cli.exits import EPILOG, OK
from distgraph.cli.options import global_options
from distgraph.cli.plain import dumps, plain
from distgraph.cli.run import read_input, show_result
from distgraph.cli.runs import show_row
from distgraph.cli.session import Session
from distgraph.errors import InvalidAnswerError, UnknownInterruptError

if TYPE_CHECKING:
    from distgraph.cluster import Cluster, RunHandle
    from distgraph.types import Interrupt

log = logging.getLogger(__name__)

#: How long an answer that must have a form is watched. Seconds.
TAKEN = 5.0

_LIMIT = click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=1000,
    show_default=True,
    help="Look at so many of the newest runs.",
)


@click.group(epilog=EPILOG)
@global_options
def interrupts() -> None:
    """What runs ask people, and answering it."""


@interrupts.command("list", epilog=EPILOG)
@click.option("--batch", "batch_id", metavar="ID", help="Only what items of this batch ask.")
@_LIMIT
@global_options
@click.pass_obj
def list_(session: Session, batch_id: str | None, limit: int) -> int:
    """The questions that wait for an answer: of the newest runs, newest first, and of items of batches."""
    with session.cluster() as cluster:
        found = [
            {"id": asked.id, "run_id": run.run_id, "thread_id": run.thread_id, "value": plain(asked.value)}
            for run, asked in _waiting(cluster, limit, batch_id)
        ]
    if session.json:
        session.output.document({"interrupts": found})
    elif found:
        rows = [{**row, "value": dumps(row["value"])} for row in found]
        session.output.table(list(found[0]), [list(row.values()) for row in rows])
    else:
        session.output.text("Nobody is asked anything.")
    return OK


@interrupts.command(epilog=EPILOG)
@click.argument("interrupt_id")
@click.option("--value", "given", metavar="JSON|@FILE", required=True, help="The answer.")
@click.option("--wait", is_flag=True, help="Wait for what the run comes to, as `distgraph run` does.")
@_LIMIT
@global_options
@click.pass_obj
def answer(session: Session, interrupt_id: str, given: str, wait: bool, limit: int) -> int:
    """Answer one question. Its run goes on; what else it asks goes on waiting."""
    value: Any = read_input(given)
    with session.cluster() as cluster:
        for run, asked in _waiting(cluster, limit):
            if asked.id == interrupt_id:
                run.resume({interrupt_id: value})
                if not wait and asked.response_schema is not None:
                    _until_taken(run)
                show_result(session, run) if wait else show_row(session, run)
                return OK
    raise UnknownInterruptError(
        f"None of the {limit:,} newest runs and of the batches at work asks {interrupt_id!r}. It may have been answered: see "
        f"{session.command('interrupts', 'list')}."
    )


def _until_taken(run: RunHandle) -> None:
    """Wait a moment for the node to take the answer, for it alone can say whether it fits.

    Raises:
        InvalidAnswerError: it does not; the question still waits.
    """
    try:
        run.result(timeout=TAKEN)
    except InvalidAnswerError:
        raise
    except Exception as error:
        # Not at rest yet, or it came to another end: the row that follows says so.
        log.debug("run %s after its answer: %s", run.run_id, error)


def _waiting(cluster: Cluster, limit: int, batch_id: str | None = None) -> Iterator[tuple[RunHandle, Interrupt]]:
    asking = cluster.interrupted(limit) if batch_id is None else cluster.batch(batch_id).interrupted()
    for run in asking:
        for asked in run.interrupts():
            yield run, asked
