"""Whether a run's record can be one that distgraph wrote: what is damaged is left as it is, for whoever can restore it."""

from __future__ import annotations

from distgraph.errors import LedgerCorruptError
from distgraph.ledger.replies import Record

#: Fields that count something, from 0 on; and fields of text.
NUMBERS = ("epoch", "plan", "x", "stop", "retries", "limit", "ends", "step_limit", "step_ends", "wake", "created")
TEXTS = ("status", "graph", "fp", "base", "why", "late")
#: Longer numbers are none that anything here has counted.
DIGITS = 40


def check_record(run_id: str, record: Record) -> None:
    """Refuse a record whose fields are no numbers or texts where they must be.

    Raises:
        LedgerCorruptError: names the first such field, and what can be done.
    """
    for field in NUMBERS:
        value = record.get(field, b"0")
        if not (value.isdigit() and len(value) <= DIGITS):
            raise _damaged(run_id, field, value)
    for field in TEXTS:
        value = record.get(field, b"")
        try:
            value.decode()
        except UnicodeDecodeError:
            raise _damaged(run_id, field, value) from None


def _damaged(run_id: str, field: str, value: bytes) -> LedgerCorruptError:
    return LedgerCorruptError(
        f"The record of run {run_id!r} is damaged: its field {field!r} is {value[:40]!r}. Something else wrote there. No "
        "worker goes on with it; restore the ledger from a backup, or cancel the run."
    )
