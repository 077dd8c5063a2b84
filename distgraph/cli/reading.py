"""Reading what a run tells, in a terminal: where it stopped, and how it failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from distgraph.cli.exits import Detached
from distgraph.cli.session import Session
from distgraph.errors import CheckpointCorruptError, InvalidAnswerError, RunError, StoreError, UntrustedTypeError

if TYPE_CHECKING:
    from distgraph.cluster.following import RunEvent
    from distgraph.cluster.handle import RunHandle


@contextmanager
def node_errors(run_id: str) -> Iterator[None]:
    """A node's exception comes back in its own class: here it is the run's failure, whatever its class.

    Raises:
        RunError: the run failed; the cause is the node's exception.
    """
    try:
        yield
    except (RunError, InvalidAnswerError, StoreError, CheckpointCorruptError, UntrustedTypeError):
        raise
    except Exception as error:
        raise RunError("\n".join([failure_text(run_id, error), *getattr(error, "__notes__", ())[:1]])) from error


def failure_text(run_id: str, error: BaseException) -> str:
    """One line on why a run failed."""
    return f"Run {run_id} failed: {type(error).__name__}: {error}"


class Reading:
    """One reading of a run's events, and how to go on with it."""

    def __init__(
        self, session: Session, handle: RunHandle, modes: Sequence[Any], subgraphs: bool = False, start: str = "start"
    ) -> None:
        self.session, self.handle, self.modes, self.subgraphs, self.start = session, handle, modes, subgraphs, start

    def events(self) -> Iterator[RunEvent]:
        """The events. One is had when the next is asked for: whoever is stopped while it is printed reads it again.

        Raises:
            RunError: the run failed.
        """
        where: Any = {"from_start": self.start == "start"}
        if self.start not in ("start", "now"):
            where = {"cursor": self.start}
        told = self.handle.events(list(self.modes), subgraphs=self.subgraphs, **where)
        with node_errors(self.handle.run_id):
            for event in told:
                yield event
                self.start = event.cursor

    @contextmanager
    def detaching(self) -> Iterator[None]:
        """Who presses Ctrl-C in this block stops reading.

        Raises:
            Detached: so it was.
        """
        try:
            yield
        except KeyboardInterrupt:
            raise Detached(
                f"Detached; run {self.handle.run_id} goes on. Read on from here with:\n  {self._again()}"
            ) from None

    def _again(self) -> str:
        modes = [part for mode in self.modes for part in ("--mode", mode)]
        nested = ["--subgraphs"] if self.subgraphs else []
        return self.session.command("runs", "stream", self.handle.run_id, *modes, *nested, "--from", self.start)
