"""``distgraph demo``: a real batch on real workers, one of them killed on the way, and the proof that it is right."""

from __future__ import annotations

import click

from distgraph.cli.census import Census
from distgraph.cli.exits import EPILOG, FAILED, OK
from distgraph.cli.options import global_options, refuse_url
from distgraph.cli.output import Row, count, duration
from distgraph.cli.plain import plain
from distgraph.cli.session import Session
from distgraph.cli.stage import Settings, Stage
from distgraph.cli.up import attend, told_to_stop

GRAPHS = ("distgraph.examples.census.graph",)


@click.command(epilog=EPILOG)
@click.option("--items", "limit", type=click.IntRange(1), help="Count only so many modules. [default: all]")
@click.option("--keep", is_flag=True, help="Leave everything running afterwards, to look around; Ctrl-C stops it.")
@click.option("--no-flower", is_flag=True, help="Without Flower.")
@global_options
@click.pass_obj
def demo(session: Session, limit: int | None, keep: bool, no_flower: bool) -> int:
    """Run a census of the Python standard library on two workers, and kill one in the middle.

    One batch item is one module: it is parsed, its classes and functions are measured in parallel, the measures joined,
    and hotspots searched in a loop. A server, two workers and Flower are started for it on this machine.
    """
    from distgraph.examples.census import corpus

    refuse_url("On workers of yours that serve the graph: distgraph batch submit census ITEMS.jsonl --url URL.")
    say = session.output.note
    items = corpus.items(limit)
    say(f"A census of the Python standard library: {count(len(items), 'module')}, one batch item each.")
    settings = Settings(graphs=GRAPHS, namespace=session.namespace, port=0, flower=not no_flower)
    with told_to_stop(), session.stage(settings, say) as stage:
        census = Census(stage, items)
        census.count_on_workers()
        census.count_here()
        _show(session, census)
        if keep:
            _show_where(session, stage, census)
            try:
                attend(stage, session)
            except KeyboardInterrupt:
                say("Draining.")
    return OK if census.proven else FAILED


def _show(session: Session, census: Census) -> None:
    if session.json:
        session.output.document(_row(census))
        return
    assert census.findings is not None
    for table in filter(lambda table: table.rows, census.findings.tables):
        session.output.table(table.columns, table.rows, title=table.title)
    session.output.text(*_verdict(census))


def _verdict(census: Census) -> list[str]:
    """What happened and what it proves, in sentences."""
    total = len(census.items)
    equal = total - len(census.differ)
    killed = (
        f"one killed when {census.killed_at:,} modules were done"
        if census.killed_at is not None
        else "and the batch was over before one could be killed"
    )
    lines = [
        f"On the workers: {count(total, 'module')} in {duration(census.on_workers)}, {killed}.",
        f"Once more in this process, without server and workers: {duration(census.here)}.",
        f"Compared item by item: {equal:,} of {total:,} results are equal.",
    ]
    if census.findings is not None and census.findings.unaccounted:
        lines.append(f"{count(census.findings.unaccounted, 'measure')} lost or counted twice.")
    if census.differ:
        lines.append(f"They differ in {', '.join(census.differ[:10])}.")
    lines.append(_conclusion(census))
    return lines


def _conclusion(census: Census) -> str:
    if not census.proven:
        return "NOT PROVEN. This is a bug; please report it."
    return "PROVEN: the result is right." if census.killed_at is None else "PROVEN: the kill changed nothing."


def _row(census: Census) -> Row:
    return {
        "items": len(census.items),
        "equal": len(census.items) - len(census.differ),
        "proven": census.proven,
        "killed_at": census.killed_at,
        "seconds_on_workers": round(census.on_workers, 3),
        "seconds_here": round(census.here, 3),
        "findings": plain(census.findings),
    }


def _show_where(session: Session, stage: Stage, census: Census) -> None:
    """Where to look while it all runs."""
    url = ("--url", stage.server.url)
    lines = ["Look around:"]
    if stage.flower is not None:
        lines.append(f"  {stage.flower_url}  (user {stage.flower_user}, password {stage.flower_password})")
    lines += [
        "  " + " ".join(("distgraph", "batch", "results", census.batch_id, *url)),
        "  " + " ".join(("distgraph", "workers", *url)),
        "Ctrl-C stops.",
    ]
    for line in lines:
        session.output.note(line)
