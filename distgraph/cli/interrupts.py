"""``distgraph interrupts ...``: what runs ask people, and answering it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from distgraph.cli.exits import EPILOG, OK
from distgraph.cli.options import global_options
from distgraph.cli.plain import dumps, plain
from distgraph.cli.run import read_input
from distgraph.cli.runs import show_resumed
from distgraph.cli.session import Session
from distgraph.errors import UnknownInterruptError

if TYPE_CHECKING:
    from distgraph.cluster import Cluster, RunHandle
    from distgraph.types import Interrupt

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
                show_resumed(session, run, {interrupt_id: value}, wait=wait)
                return OK
    raise UnknownInterruptError(
        f"None of the {limit:,} newest runs and of the batches at work asks {interrupt_id!r}. It may have been answered: see "
        f"{session.command('interrupts', 'list')}."
    )


def _waiting(cluster: Cluster, limit: int, batch_id: str | None = None) -> Iterator[tuple[RunHandle, Interrupt]]:
    asking = cluster.interrupted(limit) if batch_id is None else cluster.batch(batch_id).interrupted()
    for run in asking:
        for asked in run.interrupts():
            yield run, asked
