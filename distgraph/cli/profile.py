"""``distgraph profile``: one run, here or on workers, and where its time went."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from distgraph.cli.check import load
from distgraph.cli.exits import EPILOG
from distgraph.cli.options import attribute, global_options
from distgraph.cli.run import detaching, read_input, result_of
from distgraph.cli.session import Session

if TYPE_CHECKING:
    from distgraph.graph.profiling import Profile


def _reference(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """What has a colon is in a module; the name of a graph that workers serve may be anything else."""
    return value if value is None or ":" not in value else attribute(context, parameter, value)


@click.command(epilog=EPILOG)
@click.argument("reference", metavar="[MODULE:ATTR | GRAPH]", required=False, callback=_reference)
@click.option("--input", "given", metavar="JSON|@FILE", help="The input; @FILE reads it, @- from a pipe.")
@click.option("--run", "run_id", metavar="ID", help="Of a run on workers that was submitted with --profile.")
@click.option(
    "--trace", type=click.Path(dir_okay=False, path_type=Path), help="Also write a file for Perfetto or speedscope."
)
@global_options
@click.pass_obj
def profile(session: Session, reference: str | None, given: str | None, run_id: str | None, trace: Path | None) -> None:
    """Report where the time of a run goes: by node and superstep, waiting, engine and state.

    MODULE:ATTR is a compiled graph, run once in this process; needs no server. GRAPH is the name of a graph that workers
    serve, and run once. Either way nodes really run: what they do is done. With --run nothing is run.
    """
    if (run_id is None) == (reference is None) or (reference is None) != (given is None):
        raise click.UsageError("Give MODULE:ATTR or GRAPH with --input, or --run with the id of a run.")
    if run_id is not None:
        with session.cluster() as cluster:
            found = cluster.run(run_id).profile()
    elif ":" in str(reference):
        found = load(str(reference)).profile(read_input(str(given)))
    else:
        found = _on_workers(session, str(reference), str(given))
    if trace is not None:
        found.save(trace)
        session.output.note(f"Trace written to {trace}: open it at https://ui.perfetto.dev or https://speedscope.app.")
    if session.json:
        session.output.document(found.to_json())
    else:
        session.output.text(str(found))


def _on_workers(session: Session, name: str, given: str) -> Profile:
    value = read_input(given)
    with session.cluster() as cluster:
        handle = cluster.bind(name).submit(value, profile=True)
        with detaching(session, handle, "profile", "--run"):
            result_of(session, handle)
        found: Profile = handle.profile()
        return found
