"""A batch as one process reads it, and the items that a slice of it advances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distgraph.cluster.execution import in_this_thread
from distgraph.cluster.lane import Lane
from distgraph.cluster.limits import Ends
from distgraph.cluster.liveness import Called
from distgraph.cluster.offer import travels
from distgraph.cluster.registry import Served
from distgraph.errors import GraphSleep
from distgraph.ledger.replies import Address, ItemStep, Taken
from distgraph.superstep.model import Task
from distgraph.types import Write


class BatchPlan:
    """A batch as its drivers need it, read once per process."""

    __slots__ = ("batch_id", "config", "options", "served", "total", "travels", "waits")

    def __init__(self, batch_id: str, served: Served, manifest: dict[str, Any]) -> None:
        self.batch_id, self.served = batch_id, served
        self.config = bytes.fromhex(manifest["config"])
        self.options = served.options(self.config)
        #: Of its items; None while they are still sent.
        self.total: int | None = manifest["total"]
        #: Its items leave their slices, as runs of their own whose tasks are messages.
        self.travels = self.options.placement == "spread" or any(
            node.queue or node.placement == "spread" for node in served.program.nodes.values()
        )
        #: It has nodes that wait in an event loop.
        self.waits = not all(map(in_this_thread, served.program.nodes.values()))


class Item:
    """One item of a slice: an unrecorded run. Has what ``attempt_task`` and ``travels`` need of a run."""

    __slots__ = (
        *("address", "batch_epoch", "epoch", "fresh", "index", "key", "lane"),
        *("options", "record", "retry", "served", "settled", "slice_id", "step", "waiting"),
    )
    #: An item with time limits is a run of its own.
    ends = Ends()

    def __init__(self, index: int, address: Address, plan: BatchPlan, lane: Lane, taken: Taken, slice_id: str) -> None:
        self.index, self.address, self.lane = index, address, lane
        self.served, self.options, self.batch_epoch = plan.served, plan.options, taken.epoch
        #: No slot has had it before.
        self.fresh = taken.flag == "n"
        self.epoch = 1
        self.record: dict[str, bytes] = {}
        #: Tasks that failed here and are to be tried again, after how many seconds; or that sleep.
        self.retry: dict[str, float | GraphSleep] = {}
        #: Tasks of the superstep it leaves the slice in that were run here, by id.
        self.settled: dict[str, list[Write]] = {}
        #: How many of its nodes wait beside those of other items.
        self.waiting = 0
        #: What the next flush commits for it.
        self.step: ItemStep | None = None
        self.slice_id = slice_id
        #: The key its submitter gave it, encoded; empty without one.
        self.key = b""

    def leaves(self, tasks: Sequence[Task]) -> bool:
        """Whether it is to go on as a run of its own: its tasks travel, or its time limits must outlive this process."""
        return travels(self, tasks) or (self.options.limited and not all(task.node.hidden for task in tasks))

    def called(self, node: str, key: str, attempt: int) -> Called:
        """What the slot's row says while ``node`` runs: the item, should it kill its process."""
        return Called("s", self.address.run_id, self.slice_id, self.batch_epoch, key, attempt, "", node)
