"""A run comes to its thread, where another one may be: one run is active on a thread at any time.

What happens to the one that comes, or to the one that is there, is the caller's choice: its multitask strategy.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from distgraph.cluster.hints import Dispatcher, RunHint
from distgraph.errors import ConfigError, RunError, RunExistsError, ThreadBusyError
from distgraph.ledger.replies import Address, Submitted
from distgraph.suggestions import did_you_mean
from distgraph.types import MultitaskStrategy

if TYPE_CHECKING:
    from distgraph.ledger.runs import RunLedger

#: What may be done where a thread has a run already; ``distgraph.types.MultitaskStrategy`` explains them.
STRATEGIES: tuple[str, ...] = get_args(MultitaskStrategy)
#: What the log of a run says last that was cancelled.
CANCELLED: list[Any] = ["end", "cancelled", None, []]
#: A run that is made active is looked at by a sweep after this, unless a hint was there before. Milliseconds.
DUE_MS = 1000


def check_strategy(strategy: str) -> str:
    """``strategy`` if there is such a one.

    Raises:
        ConfigError: there is not.
    """
    if strategy not in STRATEGIES:
        raise ConfigError(
            f"multitask_strategy {strategy!r} does not exist. Use one of {', '.join(STRATEGIES)}."
            f"{did_you_mean(str(strategy), STRATEGIES)}"
        )
    return strategy


def arrive(
    runs: RunLedger,
    address: Address,
    digest: str,
    fields: Mapping[str, bytes | str | int],
    *,
    strategy: str = "reject",
    entry: bytes = b"",
    head: str = "",
) -> Submitted:
    """Put a run on the ledger, as ``strategy`` says where its thread is not free.

    Args:
        runs: the ledger.
        address: the run's.
        digest: of all that was asked: the same call again is the same run.
        fields: of its record.
        strategy: one of ``STRATEGIES``.
        entry: for the log of a run that is ended by this one.
        head: where the thread must stand; '' for anywhere.

    Returns:
        new, waits, same, or moved.

    Raises:
        RunExistsError: the id is taken.
        ThreadBusyError: the thread is not free, and the strategy is to leave it then.
        RunError: there is no way back to before the run that is active.
    """
    tied = runs.reserve(address)
    if tied != address.thread_id:
        raise _taken(address, f"a run on thread {tied!r}")
    answer = _submit(runs, address, digest, fields, strategy, entry, head)
    if answer.kind == "conflict":
        raise _taken(address, "a run with another input")
    if answer.kind in ("busy", "lost", "moved"):
        runs.reserve(address, "drop")
        if answer.kind != "moved":
            raise _refused(address, answer)
        return answer
    tied = runs.reserve(address, "keep")
    if tied != address.thread_id:
        # While the tie was loose - another call with this id was refused - somebody used the id elsewhere.
        runs.control("cancel", address, uuid.uuid4().hex, due_ms=DUE_MS)
        raise _taken(address, f"a run on thread {tied!r}")
    return answer


def _submit(
    runs: RunLedger,
    address: Address,
    digest: str,
    fields: Mapping[str, bytes | str | int],
    strategy: str,
    entry: bytes,
    head: str,
) -> Submitted:
    ends = ""
    while True:
        policy: Any = strategy
        answer = runs.submit(
            address, digest, fields, due_ms=DUE_MS, policy=policy, ends=ends, log=entry if ends else b"", head=head
        )
        # Each turn but the first means that another run has taken the thread meanwhile: that one is to be ended then.
        if answer.kind != "busy" or strategy not in ("interrupt", "rollback") or answer.other == ends:
            return answer
        ends = answer.other


def _taken(address: Address, by: str) -> RunExistsError:
    return RunExistsError(f"Run id {address.run_id!r} is taken by {by}. Use another id.")


def _refused(address: Address, answer: Submitted) -> RunError:
    if answer.kind == "lost":
        return RunError(
            f"Thread {address.thread_id!r} cannot be rolled back: checkpoint {answer.other}, from which its active run "
            "began, is not kept any more; nothing was changed. Use multitask_strategy='interrupt'."
        )
    return ThreadBusyError(
        f"Thread {address.thread_id!r} is busy with run {answer.other!r}. Wait for it, cancel it, use another thread, or "
        "say with multitask_strategy what is to happen: enqueue, interrupt or rollback.",
        run_id=answer.other,
    )


def hint_next(runs: RunLedger, dispatcher: Dispatcher, address: Address) -> None:
    """A run has ended: hint the one that has its thread now, if one waited in line. A sweep would, a second later."""
    holder = runs.read_line(address.thread_id, ["run"])[0]
    if holder is None or holder.decode() == address.run_id:
        return
    partition = runs.keys.partition(address.thread_id)
    status, graph, fingerprint = runs.peek(partition, holder.decode(), ("status", "graph", "fp"))
    if status == "queued":
        dispatcher.publish([RunHint(holder.decode(), address.thread_id, graph, fingerprint)])
