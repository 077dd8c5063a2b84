"""What is known of a schedule from outside: facts that the ledger's answers told, executions, broken promises."""

from __future__ import annotations

from typing import NamedTuple


class Violation(NamedTuple):
    """A broken promise: which invariant, and how."""

    invariant: str
    text: str


class Execution(NamedTuple):
    """One execution of one node."""

    number: int
    node: str
    run_id: str
    key: str
    attempt: int


class Facts:
    """What is committed, as told by answers of the ledger. Values are the event at which it came to be."""

    __slots__ = (
        *("begun", "cancelled", "changes", "heads", "moved", "outcomes", "recorded", "rested", "retries", "rows"),
        *("settled", "step_begun", "submitted"),
    )

    def __init__(self) -> None:
        #: (thread, parent) -> head.
        self.heads: dict[tuple[str, str], str] = {}
        #: (thread, checkpoint) -> when it was left.
        self.moved: dict[tuple[str, str], int] = {}
        self.settled: dict[tuple[str, str], int] = {}
        self.cancelled: dict[str, int] = {}
        #: (run, epoch) -> status at rest.
        self.rested: dict[tuple[str, int], str] = {}
        #: (batch, index) -> row.
        self.rows: dict[tuple[str, int], bytes] = {}
        #: thread -> the run that was accepted last.
        self.submitted: dict[str, str] = {}
        #: (run, epoch, task) -> nonce of the attempt that settled it.
        self.outcomes: dict[tuple[str, int, str], bytes] = {}
        #: Effects by their keys.
        self.recorded: dict[str, int] = {}
        #: Run -> when it was first taken, and when its superstep was begun. Milliseconds.
        self.begun: dict[str, int] = {}
        self.step_begun: dict[str, int] = {}
        #: Run -> nonces of the Commands that changed its state; (task, attempts made) of its retries.
        self.changes: dict[str, set[str]] = {}
        self.retries: dict[str, set[tuple[str, int]]] = {}
