"""``distgraph chaos storm``: a batch under a thousand kills, and the judgement of what is left of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from distgraph.cli.exits import EPILOG, FAILED, OK
from distgraph.cli.options import global_options, named, pool_option
from distgraph.cli.output import count
from distgraph.cli.session import Session
from distgraph.errors import ConfigError
from distgraph.types import Placement

if TYPE_CHECKING:
    from distgraph.chaos.report import Report


@click.command(epilog=EPILOG)
@click.option("--items", type=click.IntRange(100, 10_000_000), default=20_000, show_default=True, help="Items.")
@click.option("--supersteps", type=click.IntRange(1, 15), default=5, show_default=True, help="Supersteps of an item.")
@click.option(
    "--kills", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="SIGKILLs; other harm is on top."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Decides what is struck, when and how.")
@click.option("--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="Workers of one slot each.")
@pool_option
@click.option(
    "--placement",
    type=click.Choice(["auto", "spread", "local"]),
    default="auto",
    show_default=True,
    help="Of the batch's nodes.",
)
@click.option("--only", metavar="KIND,...", default="", help="What is struck. [default: everything]")
@click.option(
    "--most", type=click.FloatRange(10), default=3600, show_default=True, help="Seconds after which it is given up."
)
@click.option("--report", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write the report there.")
@click.option(
    "--histories", type=click.Path(path_type=Path, file_okay=False), help="Keep all histories in this directory."
)
@global_options
@click.pass_obj
def storm(
    session: Session,
    items: int,
    supersteps: int,
    kills: int,
    seed: int,
    workers: int,
    pool: str,
    placement: Placement,
    only: str,
    most: float,
    page: Path | None,
    histories: Path | None,
) -> int:
    """Kill everything that works at a batch, again and again, and check that nothing is lost, doubled or out of order.

    Struck are, by SIGKILL: children of pools, whole workers (which are replaced), the server (which is restarted),
    submitters (whose call is made again); workers are stopped for 3 to 10 seconds; and a proxy delays, cuts, resets,
    silences and drops requests and answers. Then seventeen invariants are checked over the histories of all processes.

    Server, workers and submitters are the storm's own, on this machine. With --url on the command line (DISTGRAPH_URL is
    not looked at) it uses that server, in a namespace of its own which it deletes, and does not kill it. Nothing is ever
    struck that the storm did not start itself.
    """
    from distgraph.chaos.nemesis import KINDS
    from distgraph.chaos.storm import Settings
    from distgraph.chaos.storm import storm as rage

    kinds = [kind.strip() for kind in only.split(",") if kind.strip()]
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise ConfigError(f"--only {', '.join(unknown)}: there is no such kind. Choose of {', '.join(KINDS)}.")
    settings = Settings(
        items=items,
        supersteps=supersteps,
        kills=kills,
        seed=seed,
        workers=workers,
        pool=pool,
        placement=placement,
        kinds=kinds or None,
        url=session.url if named() else None,
        most=most,
        histories=histories,
    )
    result = rage(settings, session.output.note)
    if page is not None:
        page.write_text(result.markdown(_command(settings.items, supersteps, kills, seed, workers)), encoding="utf-8")
    _show(session, result)
    return OK if result.holds else FAILED


def _command(items: int, supersteps: int, kills: int, seed: int, workers: int) -> str:
    return f"distgraph chaos storm --items {items} --supersteps {supersteps} --kills {kills} --seed {seed} --workers {workers}"


def _show(session: Session, result: Report) -> None:
    if session.json:
        session.output.document(result.plain())
        return
    from distgraph.chaos.report import HEADINGS

    output = session.output
    output.table(
        ["figure", "value"], [[name.replace("_", " "), f"{value:,}"] for name, value in result.figures.items()]
    )
    output.table(HEADINGS, result.rows(), "Seconds until work went on")
    output.table(
        ["invariant", "holds", ""],
        [[f.name, f.holds, f.says if f.holds else "; ".join(f.wrong)] for f in result.findings],
    )
    broken = [finding.name for finding in result.findings if not finding.holds]
    verdict = f"Broken: {', '.join(broken)}." if broken else f"All {count(len(result.findings), 'invariant')} hold."
    output.text(f"{verdict} Seed {result.seed}.")
