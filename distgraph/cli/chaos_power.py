"""``distgraph chaos power``: the power goes, again and again, with the end of the server's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from distgraph.cli.exits import EPILOG, FAILED, OK
from distgraph.cli.options import global_options
from distgraph.cli.output import count
from distgraph.cli.session import Session

if TYPE_CHECKING:
    from distgraph.chaos.power import Level, Loss

LEVELS: tuple[Level, ...] = ("standard", "fsync")


@click.command(epilog=EPILOG)
@click.option(
    "--times", type=click.IntRange(1), default=20, show_default=True, help="Losses; about three seconds each."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of moments, bytes and placements.")
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    multiple=True,
    help="Persistence level; may be repeated. [default: both in turn]",
)
@global_options
@click.pass_obj
def power(session: Session, times: int, seed: int, level: tuple[Level, ...]) -> int:
    """Kill a server, cut the end off its append-only file, start it again, and check that every promise holds.

    At level standard everything comes to its right end though the last moments are gone; at fsync no result changes that
    anybody was told. Servers and workers are started for it on this machine; no other server is touched.
    """
    from distgraph.chaos.power import figures, run

    losses = run(times, seed, level or LEVELS, lambda loss: session.output.note(_line(loss)))
    found = figures(losses)
    if session.json:
        problems = [loss.problem for loss in losses if loss.problem]
        session.output.document({**found, "seed": seed, "problems": problems})
    else:
        session.output.text(
            f"{count(len(losses), 'power loss', 'power losses')}, {found['bytes']:,} bytes gone, seed {seed}: "
            f"{found['failed']} failed.",
            f"{found['told']:,} results were told before; {found['computed again']:,} of them were computed again, at level "
            f"fsync {found['changed at fsync']:,} of {found['told at fsync']:,}.",
            f"To the end of the batch: median {found['median seconds']} s, worst {found['worst seconds']} s.",
        )
    return FAILED if found["failed"] else OK


def _line(loss: Loss) -> str:
    word = "FAILED" if loss.problem else "ok"
    return (
        f"{word:6} {loss.seconds:5.1f} s  {loss.level}: {loss.kind}, {loss.cut:,} bytes, {loss.told} told, "
        f"{loss.again} computed again  {loss.problem}"
    ).rstrip()
