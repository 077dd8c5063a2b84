"""``distgraph worker``: one worker, in the foreground."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from distgraph.cli.exits import EPILOG
from distgraph.cli.options import CONCURRENCY, global_options, plain_names, pool_option, served
from distgraph.cli.session import Session, import_from_here

SECRET_VARIABLE = "DISTGRAPH_SECRET"
LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
F = TypeVar("F", bound=Callable[..., Any])


def _seconds(flag: str, default: float, text: str) -> Callable[[F], F]:
    """An option for a time, of whole seconds where its default is; DISTGRAPH_... of the same name sets it too."""
    return click.option(
        flag,
        type=click.IntRange(0) if isinstance(default, int) else click.FloatRange(0),
        default=default,
        show_default=True,
        metavar="SECONDS",
        envvar=f"DISTGRAPH_{flag.strip('-').replace('-', '_').upper()}",
        help=text,
    )


@click.command(epilog=EPILOG)
@click.option(
    "--graphs",
    metavar="MODULE[:ATTR],...",
    required=True,
    callback=served,
    help="What this worker serves, and nothing else: modules, or graphs in them.",
)
@pool_option
@click.option("--concurrency", type=CONCURRENCY, help="Slots. [default: one for each CPU]")
@click.option(
    "--name", metavar="NAME", default="", help="Shown in lists and in Flower. [default: made from the host's name]"
)
@click.option(
    "--queues",
    metavar="NAME,...",
    default="",
    callback=plain_names,
    help="Queues of nodes that ask for one of their own, besides the default queue.",
)
@_seconds(
    "--cancel-grace",
    5.0,
    "How long a node may go on after its run was cancelled, before its process is ended (pool prefork).",
)
@click.option(
    "--max-memory-per-child",
    type=click.IntRange(16),
    metavar="MIB",
    help="Memory that one process of the pool may hold: at four fifths it is replaced between two Celery tasks, above "
    "the limit it is ended, and what it ran is to blame (pool prefork).",
)
@click.option(
    "--async-concurrency",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    metavar="NODES",
    envvar="DISTGRAPH_ASYNC_CONCURRENCY",
    help="How many async nodes of one slot may wait at the same time.",
)
@_seconds(
    "--keep-effects",
    3600,
    "How long results of runtime.once are kept of a run or item that is done: longer than a process may stand still.",
)
@_seconds(
    "--commit-patience",
    60.0,
    "How long a node's result is offered to a server that is away, before it is given up and worked out anew.",
)
@_seconds(
    "--drain-timeout",
    30.0,
    "How long a stop waits for nodes that run, before they are handed back to other workers.",
)
@click.option(
    "--versions",
    type=click.Choice(["pin", "compatible", "force"]),
    default="compatible",
    show_default=True,
    envvar="DISTGRAPH_VERSIONS",
    help="Of versions that nobody serves any more, take over nothing, what graphs declare, or all.",
)
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
    name: str,
    queues: tuple[str, ...],
    cancel_grace: float,
    max_memory_per_child: int | None,
    async_concurrency: int,
    keep_effects: int,
    commit_patience: float,
    drain_timeout: float,
    versions: str,
    log_level: str,
) -> int:
    """Run a worker until it is told to stop.

    SIGTERM and the first Ctrl-C drain: running nodes finish, the rest is left to other workers.
    """
    from distgraph.cluster.celery.worker import WorkerOptions, main

    import_from_here()
    _note_chaos()
    options = WorkerOptions(
        url=session.url,
        broker_url=session.broker,
        namespace=session.namespace,
        graphs=graphs,
        pool=pool,
        concurrency=concurrency or os.cpu_count() or 1,
        name=name,
        queues=queues,
        cancel_grace=cancel_grace,
        max_memory_per_child=max_memory_per_child or 0,
        keep_effects=keep_effects,
        commit_patience=commit_patience,
        log_level=log_level,
        async_concurrency=async_concurrency,
        drain_timeout=drain_timeout,
        versions=versions,
        secret=(os.environ.get(SECRET_VARIABLE) or "").encode() or None,
    )
    return main(options)


def _note_chaos() -> None:
    """Arm the fault of a chaos run, where the environment says twice that this worker belongs to one."""
    if any(name.startswith(("DISTGRAPH_CHAOS", "DISTGRAPH_FAULT")) for name in os.environ):
        from distgraph.chaos.fault import arm_from

        said = arm_from(os.environ, "worker")
        if said:
            click.echo(said, err=True)
