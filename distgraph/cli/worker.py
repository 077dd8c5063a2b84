"""``distgraph worker``: one worker, in the foreground."""

from __future__ import annotations

import os

import click

from distgraph.cli.exits import EPILOG
from distgraph.cli.options import CONCURRENCY, PlainNames, Pool, Served, global_options
from distgraph.cli.session import Session

LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


@click.command(epilog=EPILOG)
@click.option("--graphs", type=Served(), required=True, help="What this worker serves, and nothing else.")
@click.option(
    "--pool",
    type=Pool(),
    default="prefork",
    show_default=True,
    help="prefork: CPU-bound nodes, and nodes that may hang. threads: nodes that wait. solo: one slot.",
)
@click.option("--concurrency", type=CONCURRENCY, help="Slots. [default: one for each CPU]")
@click.option("--name", metavar="NAME", help="Shown in lists and in Flower. [default: made from the host's name]")
@click.option("--queues", type=PlainNames(), default=(), help="Queues to take work from. [default: the default queue]")
@click.option(
    "--log-level",
    type=click.Choice(LEVELS, case_sensitive=False),
    default="INFO",
    show_default=True,
    help="Least that is logged.",
)
@global_options
@click.pass_obj
def worker(
    session: Session,
    graphs: tuple[str, ...],
    pool: str,
    concurrency: int | None,
    name: str | None,
    queues: tuple[str, ...],
    log_level: str,
) -> int:
    """Run a worker until it is told to stop.

    SIGTERM and the first Ctrl-C drain: running nodes finish, the rest is left to other workers.
    """
    from distgraph.cluster.celery.worker import WorkerOptions, main

    options = WorkerOptions(
        url=session.url,
        namespace=session.namespace,
        graphs=graphs,
        pool=pool,
        concurrency=concurrency or os.cpu_count() or 1,
        name=name,
        queues=queues,
        log_level=log_level,
    )
    return main(options)
