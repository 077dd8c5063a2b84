"""``distgraph graphs`` and ``distgraph workers``: who is there, and what they serve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from distgraph.cli.exits import EPILOG, OK
from distgraph.cli.options import global_options
from distgraph.cli.output import duration
from distgraph.cli.plain import plain
from distgraph.cli.session import Session

if TYPE_CHECKING:
    from distgraph.cluster import RunningTask, WorkerInfo


@click.command(epilog=EPILOG)
@global_options
@click.pass_obj
def graphs(session: Session) -> int:
    """The graphs that workers serve here, or have served."""
    with session.cluster() as cluster:
        _show(session, "graphs", cluster.graphs(), "No worker has served a graph here yet.")
    return OK


@click.command(epilog=EPILOG)
@click.option("--running", is_flag=True, help="Show the nodes that run now for a second or more, the longest first.")
@global_options
@click.pass_obj
def workers(session: Session, running: bool) -> int:
    """The workers that live, with their slots, and what has run there the longest."""
    with session.cluster() as cluster:
        found = cluster.workers()
        if running:
            _show_running(session, found)
            return OK
        hint = session.command("worker", "--graphs", "MODULE")
        _show(session, "workers", found, f"No worker is alive here. Start one: {hint}")
        if not session.json:
            _name_longest(session, found)
        odd = cluster.unknown_hints()
        if odd:
            session.output.note(f"Workers were sent {odd:,} hints of another release, and left them to others.")
    return OK


def _name_longest(session: Session, found: Iterable[WorkerInfo]) -> None:
    """Of all nodes that run now, the one that has for the longest: it may hang."""
    for worker, task in _running(found)[:1]:
        again = session.command("workers", "--running")
        session.output.text(
            f"Longest: node {task.node} of {task.run_id} has run for {duration(task.seconds)} on {worker.name}. All: {again}"
        )


def _running(found: Iterable[WorkerInfo]) -> list[tuple[WorkerInfo, RunningTask]]:
    tasks = [(worker, task) for worker in found for task in worker.running]
    return sorted(tasks, key=lambda pair: -pair[1].seconds)


def _show_running(session: Session, found: Iterable[WorkerInfo]) -> None:
    tasks = _running(found)
    if session.json:
        session.output.document({"running": [{"worker": worker.name, **plain(task)} for worker, task in tasks]})
    elif tasks:
        columns = ["running for", "node", "run", "worker", "pid", "limit in"]
        rows = [
            [duration(task.seconds), task.node, task.run_id, worker.name, str(task.pid), _left(task.left)]
            for worker, task in tasks
        ]
        session.output.table(columns, rows)
    else:
        session.output.text("No node has run for a second or more.")


def _left(seconds: float | None) -> str:
    return "none" if seconds is None else duration(max(0.0, seconds))


def _show(session: Session, name: str, found: Iterable[Any], nothing: str) -> None:
    rows = [plain(one) for one in found]
    if session.json:
        session.output.document({name: rows})
    elif rows:
        columns = [name for name in rows[0] if name != "running"]
        session.output.table(columns, [[_cell(name, row[name]) for name in columns] for row in rows])
    else:
        session.output.text(nothing)


def _cell(name: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    # A process id is a name made of digits: no thousands in it.
    return str(value) if name == "pid" else value
