"""One delivery: the driver for the hint, and what is left to do where it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from distgraph.cluster.call_task import run_calls
from distgraph.cluster.drive import drive
from distgraph.cluster.hints import BatchHint, CallHint, Hint, NodeHint, RunHint
from distgraph.cluster.node_task import run_tasks
from distgraph.cluster.reclaim import Reclaimer
from distgraph.cluster.slices import run_batch
from distgraph.cluster.workplace import Workplace
from distgraph.errors import StoreError
from distgraph.ledger.replies import Address

log = logging.getLogger(__name__)

_DRIVERS: dict[type, Callable[[Workplace, Any], None]] = {
    RunHint: drive,
    NodeHint: run_tasks,
    CallHint: run_calls,
    BatchHint: run_batch,
}


def deliver(place: Workplace, hint: Hint, wait: Callable[[], None]) -> None:
    """Work for one hint. Whatever goes wrong, this slot holds nothing afterwards: it lives, so nobody would free it.

    Args:
        place: the slot's workplace.
        hint: what to work at.
        wait: called before another try where the server cannot be reached.

    Raises:
        Exception: what a driver raised that it should not.
    """
    place.promoted.clear()
    try:
        _DRIVERS[type(hint)](place, hint)
    except StoreError as exc:
        log.warning("%s is put off: %s", hint[0], exc)
        _let_go_in_time(place, hint, wait)
    except Exception as exc:
        # Counted as a crash, so that it does not come again for ever.
        _let_go_in_time(place, hint, wait, why=f"its driver failed with {type(exc).__name__}: {exc}"[:500])
        raise
    finally:
        place.alone(False)


def _let_go_in_time(place: Workplace, hint: Hint, wait: Callable[[], None], *, why: str = "") -> None:
    while True:
        try:
            _let_go(place, hint, why)
            return
        except StoreError:
            # A worker that ends is found dead.
            if place.draining():
                return
            wait()


def _let_go(place: Workplace, hint: Hint, why: str) -> None:
    reclaimer = Reclaimer(place.runs, place.batches, place.registry, place.dispatcher)
    for address in place.promoted:
        reclaimer.reclaim(address, place.slot, crashed=bool(why), why=why)
    if isinstance(hint, BatchHint):
        reclaimer.reclaim_slices(hint.batch_id, place.slot, crashed=bool(why))
    else:
        reclaimer.reclaim(Address(hint.run_id, hint.thread_id), place.slot, crashed=bool(why), why=why)
