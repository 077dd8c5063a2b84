"""Time limits of a run on workers, and of each of its supersteps.

When they are over stands in the run's record, by the server's clock, so that no death of a worker prolongs them. Three see to
them: the driver, between supersteps; whoever watches a slot, which ends a process whose node or reducer runs into them; and the
sweep, where nobody is at work: the run waits for a retry, sleeps, or is in a queue. The sweep queues the run anew to be
ended, as any driver can: what its tasks have come to is kept, and what still runs for it is refused.
"""

from __future__ import annotations

import uuid
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from distgraph.errors import ConfigError, RunTimeoutError, StepTimeoutError
from distgraph.ledger.replies import Address, Record
from distgraph.types import TimeoutPolicy

if TYPE_CHECKING:
    from distgraph.cluster.options import RunOptions
    from distgraph.cluster.run import Run
    from distgraph.cluster.workplace import Workplace
    from distgraph.ledger.runs import RunLedger

#: What a slot's row says of a call that ends with its run's time, or its superstep's: it is no failure of the node.
OUTER = "outer"
#: Whoever works at a run has so long to end it by itself, before a sweep does. Milliseconds.
GRACE_MS = 1000
#: What a driver does between nodes may go on for so long after that, before its process is ended. Seconds.
BETWEEN = 2.0
STEP, RUN = "step", "run"


class Ends(NamedTuple):
    """When the time of a run, and of its superstep, is over: monotonic seconds of this process."""

    run: float = inf
    step: float = inf

    @property
    def first(self) -> float:
        """The one that comes first."""
        return min(self)

    def over(self, now: float) -> str:
        """Which is over; '' if none."""
        return RUN if now >= self.run else STEP if now >= self.step else ""


def seconds_of(name: str, value: Any) -> float | None:
    """A time limit in seconds, of what was given as such or as a timedelta; None: none.

    Raises:
        ConfigError: it is no length of time above 0.
    """
    try:
        policy = TimeoutPolicy.coerce(value)
    except (ConfigError, TypeError):
        raise ConfigError(
            f"{name} {value!r} is wrong: it is a number of seconds above 0, a timedelta, or None."
        ) from None
    return None if policy is None else policy.run_timeout


def limit_fields(options: RunOptions) -> dict[str, int]:
    """The limits as the record of a run has them."""
    told = (("limit", options.time_limit), ("step_limit", options.step_timeout))
    return {name: max(1, int(seconds * 1000)) for name, seconds in told if seconds is not None}


def ends_of(record: Record, now: float) -> Ends:
    """Of a record as it comes with a claim."""
    told = (record.get("ends_in"), record.get("step_in"))
    return Ends(*(inf if left is None else now + int(left) / 1000 for left in told))


def hold_to(place: Workplace, ends: Ends) -> None:
    """Have what this slot does for a run between its nodes end with the run's time: reducers, ``migrate``, validators.

    A node that begins takes the place of that, and its end undoes it. Whoever sees by itself that the time is over has a
    while to say so.
    """
    if ends.first != inf:
        left = ends.first - place.monotonic()
        place.watch("", max(0.0, left) + BETWEEN)


def late_field(now_ms: int, ends: str, step_ends: str) -> tuple[str, int]:
    """Of a record's fields, which time is over ('' for none), and since when in ms."""
    for which, at in ((RUN, ends), (STEP, step_ends)):
        if at and int(at) <= now_ms:
            return which, int(at)
    return "", 0


def queue_to_end(runs: RunLedger, address: Address, which: str) -> bool:
    """Queue a run anew whose time is over; the next driver ends it. False: somebody was first, or it is at rest."""
    return runs.control("repin", address, uuid.uuid4().hex, fields={"late": which}, due_ms=GRACE_MS).kind == "ok"


def too_late(run: Run, which: str) -> Exception:
    """The error that ends the run."""
    where = f"run {run.address.run_id!r}, at step {run.lane.at.step}"
    if which == STEP:
        return StepTimeoutError(
            f"Timed out: a superstep took longer than the graph's step_timeout of {run.options.step_timeout:g} s, in "
            f"{where}. Its last checkpoint is saved. Raise step_timeout, or look at which of its nodes takes so long."
        )
    return RunTimeoutError(
        f"Timed out: it took longer than its time_limit of {run.options.time_limit:g} s, in {where}. Its last checkpoint "
        "is saved, and a retry goes on from there, with all of its time again. Submit with a higher time_limit, or look at "
        "what takes so long."
    )
