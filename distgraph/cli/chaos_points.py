"""``distgraph chaos points``: each point of the protocol struck with real workers, on a private server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from distgraph.cli.exits import EPILOG, FAILED, OK
from distgraph.cli.options import global_options
from distgraph.cli.output import Row, count, duration
from distgraph.cli.session import Session
from distgraph.errors import ConfigError

if TYPE_CHECKING:
    from distgraph.chaos.points import Case, Outcome

#: Cases without any option: as many as fit into about two minutes.
SOME = 60


@click.command(epilog=EPILOG)
@click.option("--all", "everything", is_flag=True, help="Every case: about half an hour.")
@click.option("--point", "names", metavar="NAME", multiple=True, help="Every case of this point. May be repeated.")
@click.option(
    "--case", "titles", metavar="CASE", multiple=True, help="One case, as the report names it. May be repeated."
)
@click.option("--sample", "size", type=click.IntRange(1), help=f"So many cases, drawn by the seed. [default: {SOME}]")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the sample.")
@click.option("--list", "listing", is_flag=True, help="Say which cases these are, and run none.")
@global_options
@click.pass_obj
def points(
    session: Session,
    everything: bool,
    names: tuple[str, ...],
    titles: tuple[str, ...],
    size: int | None,
    seed: int,
    listing: bool,
) -> int:
    """Kill, stop or cut off a process at a point of the protocol, and check that every promise holds.

    A case is POINT:MOMENT:WHAT:NTH. The points are the ledger's scripts, and what else a worker or a submitter does to the
    world; the moments before, after and reply-lost; what happens kill-child, kill-tree, stop (for 2.5 seconds) and
    kill-server. A server and workers are started for it on this machine; no other server is touched.
    """
    from distgraph.chaos.points import run

    cases = _chosen(everything, names, titles, size, seed)
    if listing:
        for case in cases:
            session.output.text(case.title)
        return OK
    outcomes = run(cases, lambda outcome: session.output.note(_line(outcome)))
    _report(session, outcomes, seed)
    return FAILED if any(outcome.problem for outcome in outcomes) else OK


def _chosen(
    everything: bool, names: tuple[str, ...], titles: tuple[str, ...], size: int | None, seed: int
) -> list[Case]:
    from distgraph.chaos.points import case_from, matrix, sample

    if titles:
        return [case_from(title) for title in titles]
    if names:
        unknown = set(names) - {case.fault.point for case in matrix()}
        if unknown:
            raise ConfigError(
                f"There is no point {', '.join(sorted(unknown))}. See: distgraph chaos points --all --list"
            )
        return [case for case in matrix() if case.fault.point in names]
    return matrix() if everything else sample(size or SOME, seed)


def _line(outcome: Outcome) -> str:
    word = "FAILED" if outcome.problem else "ok"
    return f"{word:6} {outcome.seconds:5.1f} s  {outcome.case.title}  {outcome.problem}".rstrip()


def _report(session: Session, outcomes: list[Outcome], seed: int) -> None:
    from distgraph.chaos.points import figures as figures_of

    figures: Row = dict(figures_of(outcomes))
    failed = [outcome for outcome in outcomes if outcome.problem]
    if session.json:
        rows = [{"case": outcome.case.title, "problem": outcome.problem} for outcome in failed]
        session.output.document({**figures, "seed": seed, "failures": rows})
        return
    session.output.text(
        f"{count(len(outcomes), 'case')} of {count(int(figures['points']), 'point')} in "
        f"{duration(float(figures['seconds']))}, seed {seed}: {len(failed)} failed."
    )
    for outcome in failed:
        session.output.text(f"  distgraph chaos points --case {outcome.case.title}")
