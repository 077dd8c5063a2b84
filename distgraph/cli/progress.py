"""Progress of long work, on standard error: a live bar on a terminal, elsewhere a line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from distgraph.cli.exits import Detached
from distgraph.cli.output import console, duration
from distgraph.errors import ServerLoadingError, ServerUnreachableError, StoreError, WaitTimeoutError

if TYPE_CHECKING:
    from distgraph.cluster.batch import Batch, BatchStatus

T = TypeVar("T")

#: Seconds between two lines where there is no terminal.
LINE_EVERY = 5.0
#: Seconds that a server may be silent while a batch is watched.
PATIENCE = 30.0
#: Seconds between two looks at a batch.
LOOK_EVERY = 0.25


class Meter:
    """Shows how far something has come; make it with ``meter``."""

    def __init__(self, title: str, total: int | None, bar: Any, clock: Callable[[], float]) -> None:
        self._title, self._total, self._bar, self._clock = title, total, bar, clock
        self._task = None if bar is None else bar.add_task(title, total=total, detail="")
        self._began = clock()
        self._next = self._began + LINE_EVERY

    def show(self, done: int, total: int | None = None, detail: str = "") -> None:
        """Show ``done`` of ``total`` (None: as before) and the rest of the line."""
        self._total = self._total if total is None else total
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=self._total, detail=detail)
        elif self._clock() >= self._next:
            self._next = self._clock() + LINE_EVERY
            self.say(done, detail)

    def say(self, done: int, detail: str) -> None:
        """Write a line, whatever the time is; nothing on a terminal, where the bar says it."""
        if self._bar is None:
            of = "" if self._total is None else f" of {self._total:,}"
            parts = [f"{self._title}: {done:,}{of}", *([detail] if detail else [])]
            sys.stderr.write(f"[{duration(self._clock() - self._began)}] {', '.join(parts)}\n")
            sys.stderr.flush()

    def note(self, text: str) -> None:
        """A line of its own above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False)
        else:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


@contextmanager
def meter(title: str, total: int | None = None, clock: Callable[[], float] = time.monotonic) -> Iterator[Meter]:
    """A meter for the length of the block."""
    screen = console(errors=True)
    if not screen.is_terminal or screen.is_dumb_terminal:
        yield Meter(title, total, None, clock)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
    )
    with Progress(*columns, console=screen, transient=False) as bar:
        yield Meter(title, total, bar, clock)


def counted(items: Iterable[T], title: str, total: int | None) -> Iterator[T]:
    """``items``, with a meter that counts them as they are taken."""
    began = time.monotonic()
    done = 0
    with meter(title, total) as shown:
        for done, item in enumerate(items, 1):
            yield item
            # Not for every item: drawing costs more than most items.
            if done % 64 == 0:
                shown.show(done, detail=f"{done / max(1e-9, time.monotonic() - began):,.0f}/s")
        shown.show(done, total=done)


def watch(batch: Batch, again: str, look: Callable[[Meter, BatchStatus], None] | None = None) -> BatchStatus:
    """Show a batch until it is at rest.

    Args:
        batch: its handle.
        again: the command that comes back to it.
        look: called at every look at the batch, some four times a second.

    Raises:
        Detached: Ctrl-C was pressed; the batch goes on.
        StoreError: the server is gone for longer than a client waits.
    """
    try:
        with meter(batch.batch_id) as shown:
            return _watched(batch, shown, look)
    except KeyboardInterrupt:
        raise Detached(f"Detached; the batch goes on. Come back with:\n  {again}") from None
    except StoreError as error:
        error.add_note(f"The batch itself is not lost by this. Come back with:\n  {again}")
        raise


def _watched(batch: Batch, shown: Meter, look: Callable[[Meter, BatchStatus], None] | None) -> BatchStatus:
    silent: float | None = None
    while True:
        try:
            status, at_rest = _seen(batch)
            silent = None
        except (ServerUnreachableError, ServerLoadingError):
            silent = _wait_for_server(shown, silent)
            continue
        settled = status.done + status.failed + status.cancelled
        shown.show(settled, status.total, detail(status))
        if at_rest:
            shown.say(settled, detail(status))
            return status
        if look is not None:
            look(shown, status)


def _seen(batch: Batch) -> tuple[BatchStatus, bool]:
    """The batch's status, and whether it is at rest."""
    try:
        return batch.wait(timeout=LOOK_EVERY), True
    except WaitTimeoutError:
        return batch.status(), False


def _wait_for_server(shown: Meter, silent: float | None) -> float:
    """Called where a look failed: a server that is restarted comes back in seconds, and the batch with it.

    Returns:
        Since when it has been silent. Raises the error that is being handled once that is too long.
    """
    now = time.monotonic()
    if silent is None:
        shown.note("The server does not answer; waiting for it.")
        silent = now
    if now - silent > PATIENCE:
        raise
    time.sleep(LOOK_EVERY)
    return silent


def detail(status: BatchStatus) -> str:
    """What the bar says behind itself."""
    parts = [f"{status.failed:,} failed", f"{status.running:,} running"]
    if status.interrupted:
        parts.append(f"{status.interrupted:,} waiting for an answer")
    if status.cancelled:
        parts.insert(1, f"{status.cancelled:,} cancelled")
    if status.rate:
        parts.append(f"{status.rate:,.1f}/s")
    if status.eta is not None:
        parts.append(f"{duration(status.eta)} left")
    return ", ".join(parts)
