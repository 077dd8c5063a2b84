"""What the ledger promises about runs. What holds for every operation stands in the package's docstring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from distgraph.ledger.keys import Keys
from distgraph.ledger.replies import Address, Answer, Claimed, ClaimedTask, Commit, Due, Record, Submitted, Swept

#: A value of a record, as it may be given.
Field = bytes | str | int
#: What happens where another run has the thread.
Policy = Literal["reject", "enqueue", "interrupt", "rollback"]


class Runs(Protocol):
    """Runs, their tasks, their logs, and their threads' lines of checkpoints."""

    @property
    def keys(self) -> Keys:
        """Which thread is in which partition."""
        ...

    # ---- ids and submission

    def reserve(self, address: Address, how: Literal["hold", "keep", "drop"] = "hold") -> str:
        """Tie a run's id to its thread, unless it is tied to one.

        ``how``: ``hold`` until the run is there (an hour at most), then ``keep`` it: such a tie stands until the run is
        deleted. ``drop`` undoes a tie to this thread that is held and not kept: the run was refused.

        Returns:
            The thread the id is tied to. Another one: the id is taken. Of ``drop`` '', if it is tied to none now.
        """
        ...

    def address(self, run_id: str) -> Address | None:
        """Where a run lives; None if no such run is on the ledger."""
        ...

    def submit(
        self,
        address: Address,
        digest: str,
        fields: Mapping[str, Field],
        *,
        due_ms: int,
        policy: Policy = "reject",
        ends: str = "",
        log: bytes = b"",
        head: str = "",
    ) -> Submitted:
        """Write the run's record, its thread's claim on it, and its due entry: queued, first looked at in ``due_ms``.

        ``policy``: where another run is active on the thread. ``reject``: nothing is written; so too where runs wait in
        line. ``enqueue``: this one waits in line, without a due entry; whatever ends the last one before it makes it
        active and due. ``interrupt``: the other one is cancelled, and this one is active in its place. ``rollback``: so
        too, and all that the other one wrote on the thread is gone: its head is where it was before that run.
        A run that waits for an answer is in the way of the last three, and passed over by ``reject``.
        ``ends``: the run to cancel; where it is not the one in the way nothing happens, and the answer names that.
        ``log``: entry for the log of the run that is cancelled.
        ``head``: write nothing unless the thread stands at this checkpoint; '': wherever it stands.

        Returns:
            ``new`` with the run's first epoch (epochs grow along a thread); ``waits`` with its epoch and the run before
            it; ``same`` if this id is there with this digest, whatever became of it (so answers a repeat); ``conflict``
            if the id is taken; ``busy`` with the run in the way; ``moved`` with the thread's head; ``lost`` if the
            checkpoint to go back to is gone.
        """
        ...

    # ---- driving

    def claim(self, address: Address, slot: str, *, sweep_ms: int) -> Claimed:
        """Take the lease to drive the run on, if it is queued or running, nobody has it, and no task is out.

        Where the record has time limits (``limit`` of the run, ``step_limit`` of each superstep, in ms) they begin with the
        first claim; ``ends`` and ``step_ends`` say when they are over, and the answer what is left (``ends_in``,
        ``step_in``, in ms). A superstep's begins anew with each commit of a head. Whoever looks acts on it; nothing here
        is refused for being late.

        Returns:
            ``ok`` with head and record; ``held`` by a slot; ``open``: tasks are out, with the ms of the last hint;
            ``gone`` with its status at rest ('' if there is no such run); ``waits``: another run has the thread.
        """
        ...

    def commit_call(self, commit: Commit) -> Any:
        """``commit`` as a call for :meth:`settle`."""
        ...

    def commit(self, commit: Commit) -> Answer:
        """Apply one superstep: checkpoint, end of the barrier, log entries, the run's next state.

        Compare-and-set on (epoch, parent checkpoint), and only while the run is running: the lease is not looked at.
        With a new head, outcomes, claims and attempts of the old one go. At rest (any status but ``running``) the
        lease, the due entry and the thread's claim go; unless it was interrupted, the first run in line has the thread
        then, and is due in ``sweep_ms``; the row of a batch item is written and counted once, the input
        of its chunk goes when all its items are done, and with ``compact`` run and line go too (the line of a failed
        item stays: a retry goes on from it). The effects of a run that is done are kept for ``effects_ms``. A head that
        stays ('') is for runs that come to rest.

        Returns:
            ``ok``; ``open`` if an offered superstep is not settled; ``offered`` if it was opened although this driver
            says it is private; ``stale`` because of epoch, head, order (the new head is not above the old), row (the
            item has another one), batch (it was cancelled), plan (``kept_open``, and a server that was rolled back has
            forgotten that it was opened), gone, or the status at rest. A repeat is recognised by the
            new head, by the status at rest, or by the row: another driver that came to the same one is told ``ok`` too.
        """
        ...

    def offer(
        self,
        address: Address,
        slot: str,
        epoch: int,
        head: str,
        planned: int,
        settled: Mapping[str, bytes],
        *,
        held: Sequence[str] = (),
        sweep_ms: int,
    ) -> Answer:
        """Open the superstep after ``head`` to all workers: a barrier of ``planned`` task ids.

        ``settled``: outcomes that this driver has already, each with the 16 bytes of its attempt's nonce before it. The
            first outcome of a task stands. Outcomes left from another checkpoint do not count.
        ``held``: tasks that the slot goes on holding, as if it had claimed them: it puts them off next, and until then
            nobody else takes them.

        Returns:
            ``ok``, the slot's lease is given up; ``closed``, all have settled and the slot has the lease; both with
            the ms of the hints that follow; ``stale`` because of epoch, head, or the status. Offering what is open
            adds the outcomes it lacks, and gives no task to hold.
        """
        ...

    def release(self, address: Address, slot: str, *, due_ms: int) -> Answer:
        """Hand the run back between two supersteps, to be looked at in ``due_ms``; counts no crash.

        The time limit of the superstep begins with the next claim.

        Returns:
            ``ok`` with the ms of the hint that follows; ``stale`` if the slot does not have the lease.
        """
        ...

    def tell_start(self, address: Address, epoch: int, head: str, entry: bytes) -> Answer:
        """Append to the run's log that it goes on at ``head``, or begins there; once for each epoch.

        Returns:
            ``ok``: it was told, by whoever was first; ``stale`` because of gone, epoch, the status, or head: somebody who
            was taken for dead must not tell it of a run that has gone on, or ended, meanwhile.
        """
        ...

    # ---- tasks

    def claim_task(self, address: Address, slot: str, epoch: int, head: str, task_id: str) -> ClaimedTask:
        """Take one task of the offered superstep after ``head``; ends its wait for another attempt.

        Returns:
            ``ok`` with crashes and attempts so far, the ms of the first attempt, and of the run's record what an attempt
            needs (:data:`distgraph.ledger.replies.OF_ATTEMPT`, and what is left of its time limits); ``done``: it has
            settled; ``held`` by a slot; ``asleep`` until its time, in ms; ``stale`` because of epoch, head, or the status.
        """
        ...

    def settle_call(
        self,
        address: Address,
        slot: str,
        epoch: int,
        head: str,
        task_id: str,
        nonce: bytes,
        outcome: bytes,
        *,
        sweep_ms: int,
        log: bytes = b"",
    ) -> Any:
        """The settlement of one task as a call for :meth:`settle`.

        ``nonce``: 16 bytes, one per attempt. ``log``: an entry of the run's log, appended where this is the outcome that
        stands, once.
        """
        ...

    def settle(self, calls: Sequence[Any]) -> list[Answer]:
        """Perform these calls in order, each atomic by itself, in one round trip.

        Returns:
            For a settlement: ``ok``; ``closed``: that was the last one, and the slot has the lease now (not if another
            slot has it); ``dup``: another attempt's outcome stands; ``stale`` because of epoch, head or the status.
            For a commit what :meth:`commit` answers. In a repeat of several, each of the closing slot's is ``closed``.
        """
        ...

    def retry_task(
        self,
        address: Address,
        slot: str,
        epoch: int,
        head: str,
        task_id: str,
        *,
        wait_ms: int,
        attempts: int,
        path: str,
    ) -> Answer:
        """Give a failed task back to wait in the due index; ``attempts`` were made, ``path`` is kept for its hint.

        Where that is more than before it counts in the run's record (``retries``), until it is queued anew. Where later
        attempts were made somebody comes late, or repeats a call whose reply was lost: nothing changes.

        Returns:
            ``ok``; ``done``: another attempt settled it; ``held``: another slot runs it; ``stale`` as for
            :meth:`claim_task`.
        """
        ...

    def sleep_task(
        self,
        address: Address,
        slot: str,
        epoch: int,
        head: str,
        task_id: str,
        key: str,
        *,
        ms: int,
        until: bool = False,
    ) -> Answer:
        """Give a task back that sleeps: for ``ms``, or until that time. Nobody can claim it before.

        The first sleep under a ``key`` (of the run) decides when it ends. When all that is not settled sleeps, the run
        is due when the first of them wakes, and its record says so (``wake``, in ms) until a task is claimed.

        Returns:
            ``ok`` with the ms of the wake-up (a repeat too); ``done``: another attempt settled it; ``held``: another
            slot runs it; ``stale`` as for :meth:`claim_task`.
        """
        ...

    def slept(self, address: Address, key: str, *, ms: int | None = None, until: bool = False) -> bool:
        """Whether the sleep under this key was begun and is over.

        ``ms``: begin it unless it has begun, for so long, or ``until`` then. Its task is not given back by that. Of a
            run that is gone none begins.
        """
        ...

    def asleep(self, address: Address) -> set[str]:
        """Tasks of the current superstep whose time to wake has not come."""
        ...

    def outcomes(self, address: Address) -> dict[str, bytes]:
        """Task id -> outcome of what has settled since the last checkpoint. Not one moment's view if it is changing."""
        ...

    def claims(self, address: Address) -> dict[str, str]:
        """Task id -> slot of the tasks that run now."""
        ...

    def tried(self, address: Address) -> set[str]:
        """Ids of the current superstep's tasks that some slot has claimed, ever."""
        ...

    def attempts(self, address: Address, task_id: str) -> int:
        """How many attempts of a task of the current superstep have failed, and were not its last."""
        ...

    # ---- control and recovery

    def control(
        self,
        what: Literal["cancel", "requeue", "repin"],
        address: Address,
        nonce: str,
        *,
        fields: Mapping[str, Field] | None = None,
        drop: Sequence[str] = (),
        log: bytes = b"",
        row: bytes = b"",
        due_ms: int = 0,
    ) -> Answer:
        """Cancel a run; queue one again that was interrupted or failed; or queue one that is active for another version.

        Begins a new epoch: older calls are stale. ``repin``: the first of ``fields`` is the version, or ``late``, for its
        time is over and it is to be ended; a run that has it already is ``gone``. Outcomes of the current superstep stay.
        With ``requeue`` time limits begin anew.

        The thread of a run that is cancelled while it is active, or waits for an answer, goes to the first run in line,
        which is due in ``due_ms``. One that is cancelled in line leaves it.

        ``nonce``: of this call; a repeat is known by it.
        ``fields``: of the record, to set.
        ``drop``: outcomes to forget (requeue): those tasks run again, the others' outcomes stand.
        ``row``: of a batch item that is cancelled.

        Returns:
            ``ok`` with the new epoch; ``gone`` with the status that forbids it ('': no such run), or if an outcome to
            drop is not there, or not of the head: the caller saw an earlier superstep; ``busy`` with the thread's active
            run, ``passed`` with the run the thread has gone on with (requeue).
        """
        ...

    def reclaim(
        self, address: Address, slot: str, *, crashed: bool, task_id: str = "", why: str = ""
    ) -> tuple[int, int]:
        """Take a dead slot's rights to this run away: its lease, its claims on tasks. The run is due at once.

        ``crashed``: count a crash of ``task_id``, or without one of whatever the slot held.
        ``why``: kept with what is counted.

        Returns:
            (rights taken, crashes so far: of ``task_id``, else the most of what was taken, else of the run). A repeat
            takes nothing.
        """
        ...

    def got_on(self, address: Address, slot: str, task_id: str = "") -> bool:
        """Forget the crashes of a task that ``slot`` has claimed, or without one of the run whose lease it has.

        Crashes count where nothing comes of what runs: a task that ended in between, of those that a node calls, is
        progress as a superstep is.

        Returns:
            Whether the slot holds it. A repeat says so too.
        """
        ...

    def sweep(self, partition: int, *, most: int, push_ms: int) -> Swept:
        """What is overdue in a partition, the longest first, at most ``most``; pushed to ``push_ms`` from now.

        A repeat finds other entries: those of a lost reply come again after the push.
        """
        ...

    def coming(self, partition: int, *, most: int) -> list[Due]:
        """Those ``most`` entries of a partition that are due first, overdue or not. Changes nothing."""
        ...

    def forget_due(self, partition: int, entry: str) -> None:
        """Drop a due entry, unless what it stands for is owed a look.

        Owed one are a run queued or running, a waiting task, a slice that goes on, a batch with ready items.
        """
        ...

    def hinted(self, address: Address, now_ms: int) -> None:
        """Note when the run was last hinted, if it is there."""
        ...

    # ---- reads

    def record(self, address: Address) -> Record:
        """The run's record; empty if there is none."""
        ...

    def peek(self, partition: int, run_id: str, fields: Sequence[str]) -> list[str]:
        """Text fields of a run found in a partition's due index; '' for a missing one."""
        ...

    def read_line(self, thread_id: str, fields: Sequence[str], ns: str = "") -> list[bytes | None]:
        """These fields of a line of checkpoints, as of one moment."""
        ...

    def runs(self, *, most: int = 100) -> list[Address]:
        """The newest runs of the namespace, newest first. Not one moment's view."""
        ...

    def records(self, addresses: Sequence[Address], fields: Sequence[str]) -> list[Record]:
        """These fields of each run's record, as far as it has them."""
        ...

    def log(
        self, address: Address, after: str, *, most: int = 500, block_ms: int | None = None
    ) -> list[tuple[str, bytes]]:
        """(id, entry) of the run's log after the one with id ``after``; '0' for the first.

        ``block_ms``: wait so long if there is none; may return earlier with nothing. Less than the client's timeout.
        """
        ...

    def log_end(self, address: Address) -> str:
        """The id of the newest entry of the run's log; '0' if there is none."""
        ...

    def log_back(self, address: Address, upto: str = "", *, most: int = 500) -> list[tuple[str, bytes]]:
        """(id, entry) of the run's log, newest first: that with id ``upto`` and those before it; '' for the newest."""
        ...

    def log_length(self, address: Address) -> int:
        """How many entries the run's log has. Below ``LOG_LENGTH`` it has lost none."""
        ...

    def last_run(self, thread_id: str) -> str:
        """The id of the newest run on a thread; '' if there was none."""
        ...

    def append_log(self, address: Address, entries: Sequence[bytes]) -> None:
        """Append events that need no commit. A repeat may append them twice: entries name their attempt and number.

        Those of a run that is gone are dropped.
        """
        ...

    def effect(
        self,
        address: Address,
        key: str,
        value: bytes | None = None,
        *,
        keep_ms: int = 60_000,
        retries: bool = False,
    ) -> bytes | None:
        """The recorded result of an effect or None; with ``value``, it is recorded unless somebody was first.

        Of a run that is gone too: a server that was rolled back may have lost it, and it is submitted again. Records of a
        run that is gone, and of a run or batch item that is done, are gone after ``keep_ms``; all others stay.
        With ``retries`` it is a retry, which counts in the run's record as :meth:`retry_task` does, if it was not recorded.
        """
        ...

    def note_dead(self, address: Address, now_ms: int) -> None:
        """Note that a run is about to be quarantined; whoever looks asks the run itself."""
        ...

    def dead(self, *, most: int) -> list[tuple[Address, int]]:
        """(run, ms) of runs and items that were quarantined, newest first; some may have been retried since."""
        ...

    def revive(self, address: Address) -> None:
        """Note that a run is quarantined no more."""
        ...

    def forget_effect(self, address: Address, key: str) -> None:
        """Drop one recorded effect."""
        ...

    def keep_effects(self, address: Address, ms: int) -> None:
        """Keep the recorded effects of a batch item that is done for ``ms``, for whoever comes late; 0: drop them."""
        ...

    # ---- the end of a run

    def ended(self, partition: int, start: int, most: int) -> list[tuple[Address, int | None]]:
        """Of a partition's runs, the oldest first, ``most`` from place ``start`` on: when each expires, in ms.

        That is its end and ``retain``, a field of its record in ms; None without one of them.
        """
        ...

    def delete(self, address: Address, *, expired: bool = False) -> Answer:
        """Delete a run that has come to its end: its record, log, effects and sleeps, and its id's tie to its thread.

        A thread that is the run's own and has seen no other run loses its checkpoints; those of others stay.

        ``expired``: only if its time is over; it is remembered for 30 days, and the tie as long.

        Returns:
            ``ok``, also if there is no such run; ``live`` with the status of one that has not ended, or waits for an
            answer (others may wait in line for it: cancel it first); ``kept``: its time is not over.
        """
        ...

    def expired(self, run_id: str) -> int | None:
        """When a run expired that was deleted for it, in ms; None if nothing is known of that."""
        ...
