"""Old checkpoints of a thread deleted by the driver of a run that is to keep only some."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from distgraph.checkpoint.keeper import LineKeeper
from distgraph.checkpoint.retention import SLACK
from distgraph.cluster.run import Run
from distgraph.cluster.workplace import Workplace
from distgraph.errors import DistgraphError, StoreError, ThreadBusyError
from distgraph.ledger.places import Place

log = logging.getLogger(__name__)


def prune(place: Workplace, run: Run, *, ended: bool) -> None:
    """A checkpoint was committed, or the run came to rest: delete what need not be kept, where that is worth a look.

    Nothing depends on it: what stays by mistake goes the next time.
    """
    retention = run.options.retention
    if retention is None:
        return
    thread = run.address.thread_id
    if run.unpruned is None:
        # who drove the run before may have left many, a few in each turn
        stamp = place.lines.stamp(Place(thread))
        run.unpruned = (stamp.checkpoints if stamp else 0) - (retention.last or 0)
    else:
        run.unpruned += 1
    if run.unpruned < SLACK and not ended:
        return
    run.unpruned = 0
    try:
        now = datetime.fromtimestamp(place.now(), UTC)
        LineKeeper(place.lines, run.served.codec).prune(thread, retention, now, run=run.address.run_id)
    except ThreadBusyError:
        log.debug("old checkpoints of thread %s stay: its next run has begun", thread)
    except StoreError:
        raise
    except DistgraphError as exc:
        log.warning("old checkpoints of thread %s stay, for one of them is damaged: %s", thread, exc)
