"""``distgraph draw``: a graph as text, Mermaid, JSON or a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from distgraph.cli.check import load
from distgraph.cli.exits import EPILOG
from distgraph.cli.options import attribute, global_options
from distgraph.cli.plain import dumps
from distgraph.cli.session import Session

#: The end of a file's name -> what belongs into it.
_BY_SUFFIX = {".txt": "text", ".mmd": "mermaid", ".mermaid": "mermaid", ".json": "json", ".svg": "svg", ".png": "png"}


@click.command(epilog=EPILOG)
@click.argument("reference", metavar="MODULE:ATTR", callback=attribute)
@click.option("--as", "kind", type=click.Choice(["text", "mermaid", "json", "svg", "png"]), help="What to draw.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to; its ending tells what, too.")
@click.option("--xray", is_flag=True, help="Open nested graphs.")
@global_options
@click.pass_obj
def draw(session: Session, reference: str, kind: str | None, out: Path | None, xray: bool) -> None:
    """Draw a compiled graph: solid lines are always taken, dashed ones decided by a node or a conditional edge.

    Pictures are laid out on this machine and need `pip install 'distgraph[draw]'`. Needs no server. The module is
    imported, so what it does at import time happens.
    """
    chosen = kind or ("json" if session.json else _BY_SUFFIX.get(out.suffix.lower(), "") if out else "text")
    if not chosen:
        raise click.UsageError(f"Nothing is known to end in {out and out.suffix!r}: say what to draw with --as.")
    if session.json and chosen != "json":
        raise click.UsageError(f"--json and --as {chosen} exclude each other.")
    drawing = load(reference).get_graph(xray=xray)
    if session.json and out is None:
        session.output.document(drawing.to_json())
        return
    drawn = _drawn(drawing, chosen)
    if out is None and isinstance(drawn, bytes):
        raise click.UsageError("An image is no text for a terminal: name a file with --out.")
    if out is None:
        session.output.text(str(drawn).rstrip("\n"))
    else:
        out.write_bytes(drawn if isinstance(drawn, bytes) else drawn.encode())
        session.output.note(f"Drawn to {out}.")


def _drawn(drawing: Any, kind: str) -> str | bytes:
    if kind == "json":
        return dumps(drawing.to_json(), indent=2)
    draws = {
        "text": drawing.draw_ascii,
        "mermaid": drawing.draw_mermaid,
        "svg": drawing.draw_svg,
        "png": drawing.draw_png,
    }
    drawn: str | bytes = draws[kind]()
    return drawn
