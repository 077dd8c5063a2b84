"""A batch's status in words and as a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distgraph.cli.output import Row, duration
from distgraph.cli.plain import plain

if TYPE_CHECKING:
    from distgraph.cluster.batch import BatchStatus


def status_row(status: BatchStatus) -> Row:
    """Every field of the status, as JSON knows it."""
    row: Row = plain(status)
    return row


def status_text(status: BatchStatus) -> str:
    """``1,998 of 2,000 done, 2 failed, 8 running, 240.0/s, 4 s left``; numbers that are zero are left out."""
    parts = [f"{status.done:,} of {status.total:,} done"]
    for name in ("failed", "cancelled", "running", "queued"):
        number = getattr(status, name)
        if number:
            parts.append(f"{number:,} {name}")
    if status.interrupted:
        parts.append(f"{status.interrupted:,} waiting for an answer")
    if status.rate and status.running + status.queued:
        parts.append(f"{status.rate:,.1f}/s")
    if status.eta is not None and status.running + status.queued:
        parts.append(f"{duration(status.eta)} left")
    return ", ".join(parts) + "."
