"""``distgraph up``: a private server, workers and Flower, until Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from distgraph.cli.exits import EPILOG, OK
from distgraph.cli.options import CONCURRENCY, global_options, pool_option, refuse_url, served
from distgraph.cli.ports import FLOWER_PORT, SERVER_PORT
from distgraph.cli.session import DEFAULT_URL, Session
from distgraph.cli.stage import Settings, Stage, called, served_by_default

#: Seconds between two looks at the processes.
LOOK_EVERY = 0.5


@click.command(epilog=EPILOG)
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="How many workers.")
@click.option("--concurrency", type=CONCURRENCY, default=1, show_default=True, help="Slots of each worker.")
@pool_option
@click.option(
    "--graphs",
    metavar="MODULE[:ATTR],...",
    callback=served,
    help="What they serve. [default: workers.graphs where that exists, or else the samples]",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"Where the server listens, on this machine only; 0: a free port. [default: {SERVER_PORT} if it is free]",
)
@click.option(
    "--flower-port",
    type=click.IntRange(0, 65535),
    help=f"Where Flower listens, on this machine only. [default: {FLOWER_PORT} if it is free]",
)
@click.option("--no-flower", is_flag=True, help="Without Flower.")
@global_options
@click.pass_obj
def up(
    session: Session,
    workers: int,
    concurrency: int,
    pool: str,
    graphs: tuple[str, ...] | None,
    port: int | None,
    flower_port: int | None,
    no_flower: bool,
) -> int:
    """Start a server, workers and Flower on this machine, for trying things out.

    Ctrl-C lets running nodes finish and stops; a second one stops at once. What the server holds ends with it.
    """
    refuse_url("For a server that runs already: distgraph worker --url URL. Where this one listens: --port.")
    settings = Settings(
        graphs=graphs or served_by_default(),
        namespace=session.namespace,
        workers=workers,
        pool=pool,
        concurrency=concurrency,
        port=port,
        flower=not no_flower,
        flower_port=flower_port,
        broker_url=session.broker_url,
    )
    say = session.output.note
    try:
        with told_to_stop(), session.stage(settings, say) as stage:
            _announce(session, stage)
            try:
                attend(stage, session)
            except KeyboardInterrupt:
                say("Draining: running nodes finish. Ctrl-C again stops at once.")
    except KeyboardInterrupt:
        say("Stopped at once.")
        raise
    return OK


def _announce(session: Session, stage: Stage) -> None:
    if session.json:
        session.output.document(stage.row())
        return
    session.output.text(f"Graphs:   {', '.join(stage.served())}")
    if stage.server.url != DEFAULT_URL or session.broker_url:
        session.output.text(f"Reach it: export DISTGRAPH_URL={stage.server.url}")
    if session.broker_url:
        session.output.text("          and DISTGRAPH_BROKER_URL=, followed by what --broker-url said")
    session.output.text("Ctrl-C stops.")


def attend(stage: Stage, session: Session) -> None:
    """Watch the processes until somebody presses Ctrl-C.

    Raises:
        ProcessFailedError: the server or the last worker has ended.
    """
    known = [worker for worker in stage.workers if worker.alive]
    while True:
        for worker in [one for one in known if not one.alive]:
            known.remove(worker)
            session.output.note(
                f"{called(worker)} ended (exit code {worker.exit_code}); the others take its work over."
            )
        stage.check()
        time.sleep(LOOK_EVERY)


@contextmanager
def told_to_stop() -> Iterator[None]:
    """Within the block SIGTERM is like Ctrl-C: service managers stop what they started with it."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
