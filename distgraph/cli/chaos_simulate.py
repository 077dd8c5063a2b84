"""``distgraph chaos simulate``: the protocol under simulated faults, thousands of schedules without a server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from distgraph.cli.exits import EPILOG, FAILED, OK
from distgraph.cli.options import global_options
from distgraph.cli.output import count, duration
from distgraph.cli.session import Session

if TYPE_CHECKING:
    from distgraph.chaos.simulation.simulate import Report

#: Seconds between two lines about progress.
_PATIENCE = 2.0


@click.command(epilog=EPILOG)
@click.option(
    "--schedules", type=click.IntRange(1, 100_000_000), default=2000, show_default=True, help="Play so many schedules."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the first one; the next has the next."
)
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes that play them.")
@click.option(
    "--mutant", metavar="NAME", help="Break the protocol in this way, to see that it is noticed; 'list' for all."
)
@global_options
@click.pass_obj
def simulate(session: Session, schedules: int, seed: int, jobs: int, mutant: str | None) -> int:
    """Play seeded schedules of faults against the real drivers, in memory.

    Workers are killed and frozen, hints lost and repeated, replies lost, the server rolled back, runs cancelled and
    resumed at the worst moment; afterwards every promise is checked. A failure names the seed that repeats it:
    `--schedules 1 --seed SEED`. No server is needed, and none is touched.
    """
    from distgraph.chaos.simulation.mutants import MUTANTS
    from distgraph.chaos.simulation.simulate import simulate as play

    if mutant == "list":
        rows = [[name, made.about] for name, made in MUTANTS.items()]
        if session.json:
            session.output.document({"mutants": [{"name": name, "about": about} for name, about in rows]})
        else:
            session.output.table(["mutant", "what it breaks"], rows)
        return OK
    if mutant and mutant not in MUTANTS:
        raise click.BadParameter(f"There is no mutant {mutant!r}. '--mutant list' names them.", param_hint="--mutant")
    report = play(schedules, seed, jobs=jobs, mutant_name=mutant or "", progress=_Progress(session, schedules))
    if session.json:
        session.output.document({**report.plain(), **({"mutant": mutant} if mutant else {})})
    else:
        _show(session, report)
    return FAILED if report.broken else OK


class _Progress:
    """Says now and then how far it is."""

    def __init__(self, session: Session, schedules: int) -> None:
        self.say, self.schedules, self.said = session.output.note, schedules, time.monotonic()

    def __call__(self, report: Report) -> None:
        now = time.monotonic()
        if now - self.said >= _PATIENCE:
            self.said = now
            left = (self.schedules - report.schedules) / report.rate if report.rate else None
            self.say(
                f"{report.schedules:,} of {count(self.schedules, 'schedule')}, {report.rate:,.0f} per second, "
                f"about {duration(left)} left"
            )


def _show(session: Session, report: Report) -> None:
    say = session.output.text
    say(
        f"{count(report.schedules, 'schedule')} from seed {report.seed} in {duration(report.seconds)} "
        f"({report.rate:,.0f} per second): {report.points:,} points passed, {report.executions:,} executions of nodes."
    )
    say("Struck by: " + ", ".join(f"{kind} {times:,}" for kind, times in sorted(report.faults.items())) + ".")
    say("Came to: " + ", ".join(f"{kind} {times:,}" for kind, times in sorted(report.oks.items())) + ".")
    if not report.broken:
        say("Every invariant held.")
        return
    for one in report.broken:
        say("", f"BROKEN {one.invariant}, seed {one.seed}: {one.text}")
        if one.shortest:
            say("The shortest schedule that breaks it:", one.shortest)
    say("", f"Again: distgraph chaos simulate --schedules 1 --seed {report.broken[0].seed}")
