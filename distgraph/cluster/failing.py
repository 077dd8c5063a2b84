"""What keeps retries from becoming a storm.

Each run, and each item of a batch, has a budget of retries, of its nodes and of the tasks that they call. And where a node
does nothing but fail - what it calls is down - the fleet counts that: the retries of whatever comes to it wait longer, so that
they do not all spend their attempts on it. The first success of the node, seen by a slot that knows of it, ends that. A node
that works costs nothing: only failures that are to be retried are counted, in the call that follows them.
"""

from __future__ import annotations

import logging
from typing import Any

from distgraph.cluster.workplace import Workplace
from distgraph.errors import StoreError
from distgraph.ledger.keys import split_item

log = logging.getLogger(__name__)

#: So many failures of a node in a row are its retry policy's business alone.
FREE = 100
#: A retry waits at least so long after that; each further failure adds so much; up to so much. Seconds.
FIRST, STEP, MOST = 5.0, 0.1, 60.0
#: Failures are forgotten where nothing fails for so long. Milliseconds.
FORGET_MS = 600_000


def at_least(failures: int) -> float:
    """How long a retry of a node waits at least after so many failures in a row. Seconds."""
    return 0.0 if failures <= FREE else min(MOST, FIRST + STEP * (failures - FREE))


def spent(run: Any, exc: BaseException) -> bool:
    """Whether the run (or item) has used up its retries; says so in a note on what has failed."""
    made = int(run.record.get("retries", b"0")) + run.lane.retries
    return is_over(run.options.retries, made, run.address.run_id, exc)


def is_over(budget: int | None, made: int, run_id: str, exc: BaseException) -> bool:
    """Whether a run (or item) that has made so many retries may make no more; says so in a note on what has failed."""
    if budget is None or made < budget:
        return False
    what = f"run {run_id!r}" if split_item(run_id) is None else f"item {run_id!r}"
    exc.add_note(
        f"Not tried again: {what} has used up its budget of {budget} retries. Submit with another retry_budget, or look at "
        "what fails."
    )
    return True


def put_off_for(place: Workplace, graph: str, node: str, delay: float) -> float:
    """How long the retry of a node that has just failed waits, which its policy puts off for ``delay``. Seconds."""
    name = named(graph, node)
    try:
        wait = at_least(place.fleet.failed(name, forget_ms=FORGET_MS))
    except StoreError as exc:
        # The count is a help; that this attempt has failed is a result, and is stored when the server is back.
        log.debug("a failure of %r is not counted: %s", name, exc)
        return delay
    if not wait:
        return delay
    place.failing.add(name)
    # What failed together is not to come back together.
    return max(delay, wait * (1 - place.noise(32) / 2**34))


def has_worked(place: Workplace, graph: str, node: str) -> None:
    """Tell the fleet that a node works again, if this slot knows that it did not."""
    name = named(graph, node)
    if name in place.failing:
        try:
            place.fleet.worked(name)
        except StoreError as exc:
            # What the node came to outlives the outage; its next success tells.
            log.debug("it is not told yet that %r works again: %s", name, exc)
            return
        place.failing.discard(name)


def named(graph: str, node: str) -> str:
    """A node as the fleet counts it."""
    return f"{graph}\n{node}"
