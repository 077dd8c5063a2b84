"""Lines of checkpoints on the ledger, as savers read and write them: from outside of runs, whole threads at a time."""

from __future__ import annotations

import os
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any
from urllib.parse import unquote

from distgraph.ledger.connection import guard
from distgraph.ledger.keys import Keys
from distgraph.ledger.places import MOST, Change, Found, Place, Stamp, Writes, folded
from distgraph.ledger.reads import LOG_LENGTH, RunReads, answer_of, text
from distgraph.ledger.replies import Address, Aged, Answer
from distgraph.ledger.scripts import Call, Scripts


class LineLedger:
    """The part of the ledger that savers use."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self.scripts, self.keys = scripts, keys
        self.client = scripts.client
        self._runs = RunReads(scripts, keys)
        self._recent: tuple[Place, tuple[str, str, str]] | None = None
        #: Those that wait for answers.
        self._ahead: set[LinesAhead] = set()

    def _keys(self, place: Place) -> tuple[str, str, str]:
        """The keys of line, writes and history, for whoever is to find there what was stored before."""
        self._catch_up(place.thread_id)
        return self._named(place)

    def _catch_up(self, thread_id: str | None = None) -> None:
        """What was stored ahead is there now, of a thread or of all."""
        if self._ahead:
            for ahead in self._ahead.copy():
                # In a forked child, the runs of its parent are not its own to wait for: what they stored is sent.
                if thread_id in (None, ahead.thread_id) and ahead.pid == os.getpid():
                    ahead.calls.wait()

    def _named(self, place: Place) -> tuple[str, str, str]:
        recent = self._recent
        if recent is not None and recent[0] == place:
            return recent[1]
        line, pend, hist = (self.keys.of(place.thread_id, kind, *place) for kind in ("line", "pend", "hist"))
        # a run stores superstep by superstep on one line: naming its keys takes longer than packing what is stored
        self._recent = (place, (line, pend, hist))
        return line, pend, hist

    def _nested(self, thread_id: str) -> str:
        return self.keys.of(thread_id, "nested", thread_id)

    # ------------------------------------------------------------- storing

    def put(self, changes: Sequence[Change]) -> list[tuple[Place, Answer]]:
        """Store changes in order, in one round trip: each is atomic, their sequence is not.

        Writes and the checkpoint that follows them on their line become one change.

        Returns:
            The answers: ok; busy with the id of the run that holds the line, held by another attempt, or lost is what the
            checkpoint shares values with: then nothing of that change is stored.
        """
        sent = folded(changes)
        for thread_id in {change.place.thread_id for change in sent}:
            self._catch_up(thread_id)
        replies = self.scripts.run_all([self.call(change) for change in sent])
        return [(change.place, answer_of(reply)) for change, reply in zip(sent, replies, strict=True)]

    def ahead(self, thread_id: str) -> LinesAhead:
        """Stores changes of one thread without waiting for the answers."""
        return LinesAhead(self, thread_id, self._ahead)

    def call(self, change: Change) -> Call:
        """The call that stores a change."""
        place, keys = change.place, self._named(change.place)
        named = uuid.uuid4().hex if change.entries else ""
        args: list[Any] = [change.new, place.ns, change.holder, len(change.sets), named, LOG_LENGTH]
        args += (len(change.entries), change.shares, *change.entries)
        for pair in change.sets:
            args += pair
        for mode, before, task, kind, path, data in change.writes:
            args += (mode, before, f"{task}|{kind}", path, data)
        if not place.ns:
            return Call("put", keys, args)
        log = self.keys.of(place.thread_id, "log", change.run_id)
        root = self.keys.line(place.thread_id)
        return Call("put", (*keys, self._nested(place.thread_id), log, root), args)

    # ------------------------------------------------------------- reading

    def look(self, place: Place, checkpoint_id: str = "") -> Found | None:
        """One checkpoint, or the head; None if there is no such."""
        line, pend, _ = self._keys(place)
        reply = self.scripts.run(Call("look", (line, pend), (checkpoint_id,)))
        if not reply:
            return None
        return Found(text(reply[0]), reply[1], int(reply[2]), text(reply[3]))

    def history(self, place: Place, *, before: str = "", most: int) -> list[str]:
        """Ids of a line's checkpoints below ``before``, newest first; where no history is kept, of the head alone."""
        line, _, hist = self._keys(place)
        with guard(), self.client.pipeline(transaction=False) as pipe:
            pipe.hget(line, "head")
            pipe.zrevrangebylex(hist, f"({before}" if before else "+", "-", 0, most)
            head, kept = pipe.execute()
        ids = [text(member) for member in kept]
        newest = text(head) if head else ""
        if newest and (not before or newest < before) and (not ids or newest > ids[0]):
            ids.insert(0, newest)
        return ids

    def records(self, place: Place, ids: Sequence[str]) -> list[Found]:
        """These checkpoints, without those whose record is gone."""
        line, pend, _ = self._keys(place)
        with guard(), self.client.pipeline(transaction=False) as pipe:
            pipe.hmget(line, ["head", "run", "last", *(f"c:{name}" for name in ids)])
            pipe.hmget(pend, list(ids))
            (head, run, last, *records), counts = pipe.execute()
        latest = text(run or last or b"")
        return [
            Found(name, record, int(count or 0), latest if head == name.encode() else "")
            for name, record, count in zip(ids, records, counts, strict=True)
            if record is not None
        ]

    def read(
        self, place: Place, fields: Sequence[str], writes: Mapping[str, int]
    ) -> tuple[dict[str, bytes | None], dict[str, list[Writes]]]:
        """Values, and the writes that savers stored.

        Args:
            place: the line.
            fields: fields of the line.
            writes: checkpoint id -> how many writes.

        Returns:
            (field -> value, None where it is not there; checkpoint id -> its writes in the order they came in).
        """
        line, pend, _ = self._keys(place)
        numbered = [f"{name}|{n}" for name, count in writes.items() for n in range(1, count + 1)]
        values, names = self._fetch((line, fields), (pend, numbered))
        # none are missing, unless the whole hash was deleted meanwhile
        named = [
            (number.partition("|")[0], *text(name).split("|", 2))
            for number, name in zip(numbered, names, strict=True)
            if name is not None
        ]
        (stored,) = self._fetch((pend, [f"{before}|{task}|{kind}" for before, task, kind, _ in named]))
        found: dict[str, list[Writes]] = {}
        for (before, task, kind, path), data in zip(named, stored, strict=True):
            if data is not None:
                found.setdefault(before, []).append(Writes("first", before, task, kind, path, data))
        return dict(zip(fields, values, strict=True)), found

    def _fetch(self, *wanted: tuple[str, Sequence[str]]) -> list[list[Any]]:
        """Fields of hashes, in parts, in one round trip."""
        if not any(fields for _, fields in wanted):
            return [[] for _ in wanted]
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for key, fields in wanted:
                for first in range(0, len(fields), MOST):
                    pipe.hmget(key, list(fields[first : first + MOST]))
            replies = iter(pipe.execute())
        return [[value for part in islice(replies, -(-len(fields) // MOST)) for value in part] for _, fields in wanted]

    def outcomes(self, thread_id: str, run_id: str, head: str) -> dict[str, bytes]:
        """Task id -> outcome, of the superstep after ``head`` as far as the run has settled it."""
        address = Address(run_id, thread_id)
        with guard():
            at = self.client.hget(self.keys.of(thread_id, "run", run_id), "at")
        return self._runs.outcomes(address) if at is not None and text(at) == head else {}

    # ------------------------------------------------------------- pruning

    def stamp(self, place: Place) -> Stamp | None:
        """How the line is now; None if there is none."""
        line, _, hist = self._keys(place)
        with guard():
            with self.client.pipeline(transaction=False) as pipe:
                pipe.hmget(line, ["head", "run", "asks"])
                pipe.zcard(hist)
                pipe.hlen(line)
                (head, run, asks), checkpoints, fields = pipe.execute()
            if head is None:
                return None
            holder = run or asks
            base: Any = holder and self.client.hget(self.keys.of(place.thread_id, "run", text(holder)), "base")
        return Stamp(text(head), checkpoints, fields, text(base).partition(" ")[0] if base else "")

    def cut(
        self, place: Place, stamp: Stamp, ids: Sequence[str], fields: Sequence[str], *, head: str, run: str = ""
    ) -> Answer:
        """Delete checkpoints and values that no other needs: ok, more, moved, busy."""
        args = (run, stamp.head, stamp.checkpoints, stamp.fields, head, len(ids), *ids, *fields)
        return answer_of(self.scripts.run(Call("cut", self._keys(place), args)))

    # ------------------------------------------------------------- threads

    def nested(self, thread_id: str) -> list[str]:
        """Namespaces of the graphs nested in a thread that have a line."""
        self._catch_up(thread_id)
        with guard():
            return sorted({text(name) for name in self.client.sscan_iter(self._nested(thread_id), count=MOST)})

    def threads(self) -> Iterator[str]:
        """Every thread of the namespace that has a line, in no order; walks all keys of the server."""
        self._catch_up()
        for partition in range(self.keys.partitions):
            start, seen = f"{self.keys.tag(partition)}line:", set()
            with guard():
                for key in self.client.scan_iter(match=f"{start}*", count=1000):
                    thread = text(key).removeprefix(start).partition(":")[0]
                    if thread not in seen:
                        seen.add(thread)
                        yield unquote(thread)

    def delete(self, thread_id: str) -> Answer:
        """Delete a thread's lines, with those of nested graphs: ok, or busy with the run that holds the thread."""
        others = (self.keys.of(thread_id, "turns", thread_id), self._ages(thread_id))
        answer = answer_of(
            self.scripts.run(Call("drop_thread", (*self._keys(Place(thread_id)), *others), (thread_id,)))
        )
        if answer.kind != "ok":
            return answer
        self.drop_nested(thread_id, self.nested(thread_id))
        return answer

    # ------------------------------------------------------------- threads whose checkpoints grow too old

    def _ages(self, thread_id: str) -> str:
        return self.keys.ages(self.keys.partition(thread_id))

    def note_age(self, thread_id: str, at_ms: int) -> None:
        """Have a thread looked at, at ``at_ms`` or before."""
        with guard():
            self.client.zadd(self._ages(thread_id), {thread_id: at_ms}, lt=True)

    def aged(self, *, most: int, push_ms: int) -> Aged:
        """Threads whose look is overdue, of each partition at most ``most``; put off by ``push_ms``. One round trip."""
        calls = [Call("sweep", (self.keys.ages(number),), (most, push_ms)) for number in range(self.keys.partitions)]
        replies = self.scripts.run_all(calls)
        return Aged.of(int(replies[-1][0]), (thread for reply in replies for thread in reply[2:]))

    def looked_at(self, thread_id: str, head: str, next_ms: int | None) -> Answer:
        """When a thread that stands at ``head`` is to be looked at again; None: never. ok, or moved."""
        args = (thread_id, head, "" if next_ms is None else next_ms)
        keys = (self._ages(thread_id), self.keys.line(thread_id))
        return answer_of(self.scripts.run(Call("looked_at", keys, args)))

    # ------------------------------------------------------------- graphs nested in the tasks of a run

    def hold(self, place: Place, holder: str, address: Address, head: str, epoch: str) -> Answer:
        """Give a nested graph's line to one attempt of the task that runs it; what others store there is refused then.

        Args:
            place: the line.
            holder: names the attempt.
            address: the run.
            head: of the run's thread, from which the task was planned.
            epoch: of the run; '' for a batch item in a slice.

        Returns:
            ok, or stale: the run has gone on, or away.
        """
        line, thread = self._keys(place)[0], place.thread_id
        outer, run = self.keys.line(thread), self.keys.of(thread, "run", address.run_id)
        keys = (line, self._nested(thread), outer, run)
        return answer_of(self.scripts.run(Call("hold", keys, (place.ns, holder, head, epoch))))

    def drop_nested(self, thread_id: str, namespaces: Sequence[str]) -> None:
        """Delete lines of graphs nested in a thread; attempts that still write there are refused."""
        for first in range(0, len(namespaces), MOST):
            part = namespaces[first : first + MOST]
            with guard(), self.client.pipeline(transaction=False) as pipe:
                for ns in part:
                    pipe.unlink(*self._keys(Place(thread_id, ns)))
                # last: as long as they are in the set, a deletion that was cut off can be repeated
                pipe.srem(self._nested(thread_id), *part)
                pipe.execute()


class LinesAhead:
    """Stores changes of one thread in their order, as ``LineLedger.put``, without waiting for the answers.

    What is stored is sent before ``put`` returns, so that it outlives this process; whoever reads or stores on the thread
    through the same ledger finds it there.
    """

    __slots__ = ("_behind", "_lines", "_places", "calls", "pid", "thread_id")

    def __init__(self, lines: LineLedger, thread_id: str, behind: set[LinesAhead]) -> None:
        self._lines, self._behind = lines, behind
        self.thread_id, self.pid = thread_id, os.getpid()
        self.calls = lines.scripts.ahead()
        #: Of the changes without an answer.
        self._places: deque[Place] = deque()

    def put(self, changes: Sequence[Change]) -> list[tuple[Place, Answer]]:
        """Store changes; returns the answers that have come meanwhile, of whatever was stored here.

        Raises:
            StoreError: the server cannot be reached or refuses, now or before.
        """
        sent = folded(changes)
        self._behind.add(self)
        self._places += [change.place for change in sent]
        self.calls.send([self._lines.call(change) for change in sent])
        return self._answers()

    def wait(self) -> list[tuple[Place, Answer]]:
        """The answers to all the rest.

        Raises:
            StoreError: as ``put``.
        """
        self.calls.wait()
        answers = self._answers()
        self._behind.discard(self)
        return answers

    def forget(self) -> None:
        """The answers do not matter any more: an earlier one was no."""
        self._behind.discard(self)
        self.calls.forget()
        self._places.clear()

    def _answers(self) -> list[tuple[Place, Answer]]:
        return [(self._places.popleft(), answer_of(reply)) for reply in self.calls.replies()]
