"""``distgraph runs stream``: what a run does, from its start, from now on, or on from where one stopped reading."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

import click

from distgraph.cli.exits import EPILOG, OK
from distgraph.cli.options import global_options
from distgraph.cli.output import Row, print_line
from distgraph.cli.plain import dumps
from distgraph.cli.reading import Reading
from distgraph.cli.session import Session
from distgraph.types import StreamMode

if TYPE_CHECKING:
    from distgraph.cluster.following import RunEvent


@click.command(epilog=EPILOG)
@click.argument("run_id")
@click.option(
    "--mode",
    "modes",
    type=click.Choice(sorted(get_args(StreamMode))),
    multiple=True,
    default=("updates",),
    show_default=True,
    help="What to read; may be given several times.",
)
@click.option("--subgraphs", is_flag=True, help="Of nested graphs too, where the run keeps their events.")
@click.option(
    "--from",
    "start",
    metavar="start|now|CURSOR",
    default="start",
    show_default=True,
    help="Begin with the first event, with what comes from now on, or behind an event.",
)
@global_options
@click.pass_obj
def stream(session: Session, run_id: str, modes: Sequence[str], subgraphs: bool, start: str) -> int:
    """Show what run RUN_ID does, as it does it, until it is at rest. One JSON document a line.

    Ctrl-C stops reading, not the run, and says how to read on from there without a gap.
    """
    with session.cluster() as cluster:
        handle = cluster.run(run_id)
        reading = Reading(session, handle, modes, subgraphs, start)
        if session.json:
            with session.output.streamed("events", {"run_id": handle.run_id}) as entry, reading.detaching():
                for event in reading.events():
                    entry(_row(event))
                    # Whoever reads the pipe waits for this one, not for the next.
                    sys.stdout.flush()
            return OK
        plain = len(modes) == 1 and not subgraphs
        with reading.detaching():
            for event in reading.events():
                print_line(dumps(event.data) if plain else _line(event))
    return OK


def _row(event: RunEvent) -> Row:
    row = {"cursor": event.cursor, "mode": event.mode, "ns": event.ns, "data": event.data}
    return {**row, "attempt": event.attempt, "task": event.task} if event.attempt else row


def _line(event: RunEvent) -> str:
    way = f"{'/'.join(part.partition(':')[0] for part in event.ns)} " if event.ns else ""
    return f"{event.mode:<11} {way}{dumps(event.data)}"
