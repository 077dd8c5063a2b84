"""``distgraph batch ...``: submit many items, follow them, fetch what came out."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distgraph.cli.exits import EPILOG, FAILED, OK
from distgraph.cli.options import global_options, limit_options, retention_option
from distgraph.cli.output import Row, count, print_line
from distgraph.cli.plain import dumps
from distgraph.cli.session import Session

if TYPE_CHECKING:
    from distgraph.cluster.batch import Batch, BatchStatus, ItemResult

#: Failed items that the text answer lists.
LISTED = 20


@click.group(epilog=EPILOG)
@global_options
def batch() -> None:
    """Submit many items, follow them, fetch what came out."""


@batch.command(epilog=EPILOG)
@click.argument("graph")
@click.argument("items", metavar="ITEMS.jsonl")
@click.option("--out", metavar="FILE", help="Wait for the end and write a row for every item to FILE, as JSON lines.")
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@click.option("--watch", is_flag=True, help="Show progress until the batch is at rest.")
@click.option(
    "--batch-id", metavar="ID", help="Name the batch. The same call with the same id goes on where one stopped."
)
@click.option(
    "--key", metavar="FIELD", help="The field that names each item: a text or an integer, unique in the file."
)
@click.option(
    "--on-bad-line",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    show_default=True,
    help="What to do with a line that is no JSON object.",
)
@click.option(
    "--max-line",
    type=click.IntRange(2, 1 << 30),
    default=16 << 20,
    metavar="BYTES",
    help="The longest line that is read. [default: 16 MiB]",
)
@retention_option
@limit_options
@global_options
@click.pass_obj
def submit(
    session: Session,
    /,
    graph: str,
    items: str,
    out: str | None,
    overwrite: bool,
    watch: bool,
    batch_id: str | None,
    key: str | None,
    on_bad_line: Any,
    max_line: int,
    **options: Any,
) -> int:
    """Submit every line of ITEMS.jsonl (- for standard input) as an item of GRAPH.

    The file holds one JSON object a line, plain or gzip-compressed. It is read twice: all lines are checked before
    anything is submitted. Standard input can be read only once, so there a bad line cancels the batch instead.
    Once this returns, the batch needs neither this process nor this machine.
    """
    from distgraph.cli.items import item_source
    from distgraph.cli.results import check_target
    from distgraph.cli.submission import Submission

    target = None if out is None else check_target(out, overwrite=overwrite, source=items)
    with ExitStack() as stack:
        source = stack.enter_context(item_source(items, key=key, on_bad=on_bad_line, max_line=max_line))
        cluster = stack.enter_context(session.cluster())
        submission = Submission(session, source, path=items, key=key)
        handle = submission.submit(cluster, graph, batch_id, options)
        if handle is None:
            return submission.nothing()
        if not watch and target is None:
            return submission.done(handle)
        return _finish(session, handle, target, overwrite=overwrite, head=submission.row(handle))


def _finish(session: Session, handle: Batch, target: Path | None, *, overwrite: bool, head: Row) -> int:
    """Wait for the batch, write its rows, and say how it went."""
    from distgraph.cli import progress

    again = ["batch", "status", handle.batch_id, "--watch"]
    if target is not None:
        again = ["batch", "results", handle.batch_id, "--out", str(target)]
    status = progress.watch(handle, session.command(*again))
    if target is not None:
        head["out"] = str(target)
        head["rows"] = _write(handle, target, overwrite=overwrite, ordered=True)
    _show_status(session, handle, status, head)
    if target is not None and not session.json:
        session.output.text(f"{count(head['rows'], 'row')} in {target}.")
    return FAILED if status.failed or status.cancelled else OK


def _write(handle: Batch, target: Path, *, overwrite: bool, ordered: bool) -> int:
    from distgraph.cli.results import result_file

    with result_file(target, overwrite=overwrite) as file:
        for result in handle.results(ordered=ordered):
            file.write(item_row(result))
    return file.rows


def item_row(result: ItemResult) -> Row:
    """One item as a row: a value if it is done, an error otherwise."""
    row: Row = {"index": result.index, "key": result.key, "run_id": result.run_id, "status": result.status}
    if result.status == "interrupted":
        return {**row, "interrupts": [{"id": asked.id, "value": asked.value} for asked in result.interrupts]}
    if result.error is None:
        return {**row, "value": result.value}
    return {**row, "error": result.error}


def _show_status(session: Session, handle: Batch, status: BatchStatus, head: Row | None = None) -> None:
    from distgraph.cli.status import status_row, status_text

    row = {"batch_id": handle.batch_id, **(head or {}), **status_row(status)}
    if session.json:
        session.output.document(row)
        return
    session.output.text(f"Batch {handle.batch_id}: {status_text(status)}")
    if status.failed:
        session.output.text(f"Why:      {session.command('batch', 'failures', handle.batch_id)}")
        session.output.text(f"Again:    {session.command('batch', 'retry', handle.batch_id)}")
    if status.interrupted:
        session.output.text(f"Asked:    {session.command('interrupts', 'list', '--batch', handle.batch_id)}")
    if not (head or {}).get("out"):
        session.output.text(f"Results:  {session.command('batch', 'results', handle.batch_id)}")


@batch.command(epilog=EPILOG)
@click.argument("batch_id")
@click.option("--watch", is_flag=True, help="Show progress until the batch is at rest.")
@global_options
@click.pass_obj
def status(session: Session, batch_id: str, watch: bool) -> int:
    """How far a batch is. With --watch the exit code tells whether all items are done."""
    with session.cluster() as cluster:
        handle = cluster.batch(batch_id)
        if watch:
            return _finish(session, handle, None, overwrite=False, head={})
        _show_status(session, handle, handle.status())
        return OK


@batch.command(epilog=EPILOG)
@click.argument("batch_id")
@click.option("--out", metavar="FILE", help="Write to FILE instead of standard output.")
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@click.option("--ordered", is_flag=True, help="In the order of the items. Otherwise in the order that is quickest.")
@global_options
@click.pass_obj
def results(session: Session, batch_id: str, out: str | None, overwrite: bool, ordered: bool) -> int:
    """The finished items as JSON lines, failed ones with their error. Items that still run are not among them."""
    from distgraph.cli.results import check_target

    target = None if out is None else check_target(out, overwrite=overwrite)
    with session.cluster() as cluster:
        handle = cluster.batch(batch_id)
        if target is not None:
            rows = _write(handle, target, overwrite=overwrite, ordered=ordered)
            _say(session, {"batch_id": batch_id, "out": out, "rows": rows}, f"{count(rows, 'row')} in {target}.")
        elif session.json:
            with session.output.streamed("results", {"batch_id": batch_id}) as entry:
                for result in handle.results(ordered=ordered):
                    entry(item_row(result))
        else:
            for result in handle.results(ordered=ordered):
                print_line(dumps(item_row(result)))
    return OK


@batch.command(epilog=EPILOG)
@click.argument("batch_id")
@global_options
@click.pass_obj
def failures(session: Session, batch_id: str) -> int:
    """The failed items: how many for which reason, then the first of them. With --json: all of them."""
    with session.cluster() as cluster:
        found = cluster.batch(batch_id).failures()
        if session.json:
            with session.output.streamed("failures", {"batch_id": batch_id}) as entry:
                for result in found:
                    entry(item_row(result))
            return OK
        kinds: Counter[str] = Counter()
        first: list[ItemResult] = []
        for result in found:
            kinds[error_kind(result.error)] += 1
            if len(first) < LISTED:
                first.append(result)
    _show_failures(session, batch_id, kinds, first)
    return OK


def error_kind(error: Any) -> str:
    """What kind of error a row holds, for a summary."""
    if isinstance(error, dict):
        return str(error.get("type") or error.get("code") or "error").rpartition(":")[2]
    return type(error).__name__ if isinstance(error, BaseException) else str(error).partition(":")[0]


def _show_failures(session: Session, batch_id: str, kinds: Counter[str], first: list[ItemResult]) -> None:
    if not kinds:
        session.output.text(f"Batch {batch_id}: no item has failed.")
        return
    session.output.table(("error", "items"), kinds.most_common(), title=f"{count(kinds.total(), 'item')} failed")
    rows = [(result.index, result.key, _short(result.error)) for result in first]
    more = "" if kinds.total() <= LISTED else f"The first {LISTED}"
    session.output.table(("item", "key", "error"), rows, title=more or None)


def _short(error: Any) -> str:
    text = error.get("message", error) if isinstance(error, dict) else error
    line = str(text).strip().partition("\n")[0]
    return line if len(line) <= 200 else f"{line[:200]}..."


@batch.command(epilog=EPILOG)
@click.argument("batch_id")
@global_options
@click.pass_obj
def cancel(session: Session, batch_id: str) -> int:
    """Cancel what has not finished. Results that are there stay."""
    with session.cluster() as cluster:
        handle = cluster.batch(batch_id)
        handle.cancel()
        _show_status(session, handle, handle.status())
    return OK


@batch.command(epilog=EPILOG)
@click.argument("batch_id")
@global_options
@click.pass_obj
def delete(session: Session, batch_id: str) -> int:
    """Delete a batch with its results, failures and checkpoints. One that still runs is cancelled first."""
    with session.cluster() as cluster:
        cluster.batch(batch_id).delete()
    _say(session, {"batch_id": batch_id, "deleted": True}, f"Batch {batch_id} is deleted.")
    return OK


@batch.command(epilog=EPILOG)
@click.argument("batch_id")
@click.option("--watch", is_flag=True, help="Show progress until the batch is at rest.")
@global_options
@click.pass_obj
def retry(session: Session, batch_id: str, watch: bool) -> int:
    """Run the failed items again, from their last checkpoint."""
    with session.cluster() as cluster:
        handle = cluster.batch(batch_id)
        again = handle.retry_failed()
        if watch:
            return _finish(session, handle, None, overwrite=False, head={"retried": again})
        text = f"Batch {batch_id}: {count(again, 'failed item')} again on the way."
        _say(session, {"batch_id": batch_id, "retried": again}, text)
    return OK


@batch.command("list", epilog=EPILOG)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many.")
@global_options
@click.pass_obj
def list_(session: Session, limit: int) -> int:
    """The newest batches."""
    from distgraph.cli.status import status_row

    with session.cluster() as cluster:
        rows = [
            {
                "batch_id": one.batch_id,
                "graph": one.graph,
                "submitted": one.submitted.isoformat(timespec="seconds"),
                **status_row(one.status()),
            }
            for one in cluster.batches(limit=limit)
        ]
    if session.json:
        session.output.document({"batches": rows})
    elif rows:
        columns = [name for name in rows[0] if name not in ("rate", "eta")]
        session.output.table(columns, [[row[name] for name in columns] for row in rows])
    else:
        session.output.text("No batch has been submitted here yet.")
    return OK


def _say(session: Session, row: Row, text: str) -> None:
    if session.json:
        session.output.document(row)
    else:
        session.output.text(text)
