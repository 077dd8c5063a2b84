"""``distgraph dlq ...``: dead letters, what was quarantined because it killed its process again and again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from distgraph.cli.exits import EPILOG, OK
from distgraph.cli.options import global_options
from distgraph.cli.output import Row, count
from distgraph.cli.session import Session

if TYPE_CHECKING:
    from distgraph.cluster.dead import DeadLetter


@click.group(epilog=EPILOG)
@global_options
def dlq() -> None:
    """Dead letters: runs and items of batches that were quarantined for killing their process again and again.

    What failed by itself, with an exception or at its time limit, is found with `distgraph runs` and
    `distgraph batch failures`.
    """


@dlq.command("list", epilog=EPILOG)
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@global_options
@click.pass_obj
def list_(session: Session, limit: int) -> int:
    """The newest dead letters."""
    with session.cluster() as cluster:
        rows = [_row(letter) for letter in cluster.dead_letters(limit)]
    if session.json:
        session.output.document({"dead_letters": rows})
    elif rows:
        columns = ["run_id", "graph", "node", "crashes", "when", "reason"]
        session.output.table(columns, [[row[name] for name in columns] for row in rows])
        session.output.text(f"More:   {session.command('dlq', 'show', str(rows[0]['run_id']))}")
        session.output.text(f"Again:  {session.command('dlq', 'retry', str(rows[0]['run_id']))}")
    else:
        session.output.text("There is no dead letter.")
    return OK


@dlq.command(epilog=EPILOG)
@click.argument("run_id")
@global_options
@click.pass_obj
def show(session: Session, run_id: str) -> int:
    """One dead letter: what was quarantined, why, and when. RUN_ID of an item is BATCH:INDEX."""
    with session.cluster() as cluster:
        letter = cluster.dead_letter(run_id)
    row: Row = {**_row(letter), "message": letter.message, "traceback": letter.traceback}
    if session.json:
        session.output.document(row)
        return OK
    for name, value in row.items():
        if value not in ("", None):
            session.output.text(f"{name:<12} {value}")
    return OK


@dlq.command(epilog=EPILOG)
@click.argument("run_ids", metavar="[RUN_ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@global_options
@click.pass_obj
def retry(session: Session, run_ids: tuple[str, ...], everything: bool) -> int:
    """Give dead letters three more chances. Each goes on where it died."""
    if bool(run_ids) == everything:
        raise click.UsageError("Name the dead letters to retry, or say --all.")
    with session.cluster() as cluster:
        letters = cluster.dead_letters(100_000) if everything else [cluster.dead_letter(name) for name in run_ids]
        for letter in letters:
            cluster.retry_dead_letter(letter)
    if session.json:
        session.output.document({"retried": [letter.run_id for letter in letters]})
    else:
        session.output.text(f"{count(len(letters), 'dead letter')} again on the way.")
    return OK


def _row(letter: DeadLetter) -> Row:
    return {
        "run_id": letter.run_id,
        "batch_id": letter.batch_id,
        "index": letter.index,
        "graph": letter.graph,
        "node": letter.node,
        "crashes": letter.crashes,
        "when": datetime.fromtimestamp(letter.when, UTC).isoformat(timespec="seconds"),
        "reason": letter.reason,
    }
