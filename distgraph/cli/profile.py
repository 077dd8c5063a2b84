"""``distgraph profile``: one run in this process, and where its time went."""

from __future__ import annotations

from pathlib import Path

import click

from distgraph.cli.check import load
from distgraph.cli.exits import EPILOG
from distgraph.cli.options import attribute, global_options
from distgraph.cli.run import read_input
from distgraph.cli.session import Session


@click.command(epilog=EPILOG)
@click.argument("reference", metavar="MODULE:ATTR", callback=attribute)
@click.option(
    "--input", "given", metavar="JSON|@FILE", required=True, help="The input; @FILE reads it, @- from a pipe."
)
@click.option(
    "--trace", type=click.Path(dir_okay=False, path_type=Path), help="Also write a file for Perfetto or speedscope."
)
@global_options
@click.pass_obj
def profile(session: Session, reference: str, given: str, trace: Path | None) -> None:
    """Run a compiled graph once, in this process, and report time by node and superstep, engine and state.

    Needs no server. Nodes really run: what they do is done.
    """
    found = load(reference).profile(read_input(given))
    if trace is not None:
        found.save(trace)
        session.output.note(f"Trace written to {trace}: open it at https://ui.perfetto.dev or https://speedscope.app.")
    if session.json:
        session.output.document(found.to_json())
    else:
        session.output.text(str(found))
