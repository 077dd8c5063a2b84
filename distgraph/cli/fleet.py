"""``distgraph graphs`` and ``distgraph workers``: who is there, and what they serve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from distgraph.cli.exits import EPILOG, OK
from distgraph.cli.options import global_options
from distgraph.cli.plain import plain
from distgraph.cli.session import Session


@click.command(epilog=EPILOG)
@global_options
@click.pass_obj
def graphs(session: Session) -> int:
    """The graphs that workers serve here, or have served."""
    with session.cluster() as cluster:
        _show(session, "graphs", cluster.graphs(), "No worker has served a graph here yet.")
    return OK


@click.command(epilog=EPILOG)
@global_options
@click.pass_obj
def workers(session: Session) -> int:
    """The workers that live, with their slots."""
    with session.cluster() as cluster:
        hint = session.command("worker", "--graphs", "MODULE")
        _show(session, "workers", cluster.workers(), f"No worker is alive here. Start one: {hint}")
        odd = cluster.unknown_hints()
        if odd:
            session.output.note(f"Workers were sent {odd:,} hints of another release, and left them to others.")
    return OK


def _show(session: Session, name: str, found: Iterable[Any], nothing: str) -> None:
    rows = [plain(one) for one in found]
    if session.json:
        session.output.document({name: rows})
    elif rows:
        session.output.table(list(rows[0]), [[_cell(name, value) for name, value in row.items()] for row in rows])
    else:
        session.output.text(nothing)


def _cell(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    # A process id is a name made of digits: no thousands in it.
    return str(value) if name == "pid" else value
