"""``distgraph run``: one run, waited for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from distgraph.cli.exits import EPILOG, OK, Detached
from distgraph.cli.options import global_options, limit_options, retention_option
from distgraph.cli.output import console, duration, print_line
from distgraph.cli.plain import dumps
from distgraph.cli.reading import Reading, node_errors
from distgraph.cli.session import Session
from distgraph.errors import (
    InputError,
    WaitTimeoutError,
)

if TYPE_CHECKING:
    from distgraph.cluster import RunHandle

#: Bytes of an input.
MAX_INPUT = 16 << 20
#: Seconds between two looks at the run.
LOOK_EVERY = 0.5


@click.command(epilog=EPILOG)
@click.argument("graph")
@click.option(
    "--input", "given", metavar="JSON|@FILE", required=True, help="The input; @FILE reads it, @- from a pipe."
)
@click.option("--thread", metavar="ID", help="Continue this thread. Otherwise the run gets a new one.")
@click.option(
    "--multitask-strategy",
    "strategy",
    type=click.Choice(["reject", "enqueue", "interrupt", "rollback"]),
    default="reject",
    show_default=True,
    help="What happens where the thread has an active run.",
)
@retention_option
@limit_options
@click.option("--stream", is_flag=True, help="Show what each node writes as it comes, one JSON document a line.")
@click.option("--profile", is_flag=True, help="Keep the times of its nodes, for `distgraph profile --run`.")
@global_options
@click.pass_obj
def run(
    session: Session,
    /,
    graph: str,
    given: str,
    thread: str | None,
    strategy: Any,
    stream: bool,
    profile: bool,
    **options: Any,
) -> int:
    """Run GRAPH on the workers and print its result as JSON.

    Ctrl-C leaves the run to the workers and says how to find it again.
    """
    value = read_input(given)
    config = None if thread is None else {"configurable": {"thread_id": thread}}
    with session.cluster() as cluster:
        handle = cluster.bind(graph).submit(value, config, multitask_strategy=strategy, profile=profile, **options)
        with detaching(session, handle, "runs", "show"):
            _streamed(session, handle) if stream else show_result(session, handle)
    if profile:
        session.output.note(f"Where its time went: {session.command('profile', '--run', handle.run_id)}")
    return OK


@contextmanager
def detaching(session: Session, handle: RunHandle, *words: str) -> Iterator[None]:
    """Ctrl-C in the block leaves the run to the workers, and says which command looks at it."""
    try:
        yield
    except KeyboardInterrupt:
        again = session.command(*words, handle.run_id)
        raise Detached(f"Detached; run {handle.run_id} goes on. Look at it with:\n  {again}") from None


def read_input(given: str) -> Any:
    """The value of ``--input``.

    Raises:
        InputError: there is no such file, or the text is no JSON.
    """
    from distgraph.cli import jsonl

    name = f"--input {given}" if given.startswith("@") else "--input"
    try:
        return jsonl.decode(_input_text(given, name))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{name} is no JSON: {error.msg[0].lower()}{error.msg[1:]} ({where}).") from None
    except jsonl.RefusedError as error:
        raise InputError(f"{name} cannot be used: {error}.") from None


def _input_text(given: str, name: str) -> str:
    if not given.startswith("@"):
        return given
    from distgraph.cli.lines import opened

    with opened(given[1:]) as file:
        data = file.read(MAX_INPUT + 1)
    if len(data) > MAX_INPUT:
        raise InputError(f"{name} has more than {MAX_INPUT >> 20} MiB. Put large data where nodes can read them.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is no UTF-8 (byte {error.start:,}). Convert it first.") from None


def show_result(session: Session, handle: RunHandle) -> None:
    """Wait for what a run comes to, and show it.

    Raises:
        RunError: the run failed or was cancelled.
    """
    _show(session, handle, result_of(session, handle))


def result_of(session: Session, handle: RunHandle) -> Any:
    """Wait for what a run comes to, and say meanwhile where it is.

    Raises:
        RunError: the run failed or was cancelled.
    """
    began, told = time.monotonic(), False
    with console(errors=True).status("submitted") as shown:
        while True:
            try:
                with node_errors(handle.run_id):
                    return handle.result(timeout=LOOK_EVERY)
            except WaitTimeoutError:
                status = handle.status()
                shown.update(f"{handle.run_id}: {status}, {duration(time.monotonic() - began)}")
            if status == "waiting_for_worker" and not told:
                told = True
                session.output.note(f"The run waits for a worker of {handle.waits_for()}.")


def _show(session: Session, handle: RunHandle, value: Any) -> None:
    if session.json:
        session.output.document({"run_id": handle.run_id, "thread_id": handle.thread_id, "result": value})
    else:
        session.output.text(dumps(value, indent=2))


def _streamed(session: Session, handle: RunHandle) -> None:
    reading = Reading(session, handle, ["updates"])
    if session.json:
        head = {"run_id": handle.run_id, "thread_id": handle.thread_id}
        with session.output.streamed("events", head) as entry, reading.detaching():
            for event in reading.events():
                entry(event.data)
        return
    with reading.detaching():
        for event in reading.events():
            print_line(dumps(event.data))
