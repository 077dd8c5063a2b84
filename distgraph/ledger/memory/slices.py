"""The twin's slices of batches. What they promise is written in :class:`distgraph.ledger.contract.Batches`."""

from __future__ import annotations

from collections.abc import Sequence

from distgraph.ledger.keys import CHUNK, item_id
from distgraph.ledger.memory.base import Items
from distgraph.ledger.memory.tables import Part, RunKey, Table, atomic, stored
from distgraph.ledger.replies import Answer, ItemStep, Taken

#: A batch in one partition.
At = tuple[str, int]


class MemorySlices(Items):
    """Items bound to whoever advances them together."""

    @atomic
    def take(self, batch_id: str, partition: int, slice_id: str, slot: str, k: int, *, sweep_ms: int) -> Taken | None:
        at = (batch_id, partition)
        part = self.state.parts.get(at, Part())
        mine = self.state.slices.look(at).get(slice_id)
        if mine is not None:
            return mine[1]._replace(epoch=str(part.epoch))
        ready = self.state.ready.get(at, ())
        if part.state in ("cancelled", "paused") or not ready:
            return None
        span, *rest = ready
        stop = min(span.stop, span.start + (1 if span.flag in ("a", "c") else k))
        taken = span._replace(stop=stop)
        if stop < span.stop:
            rest.insert(0, span._replace(start=stop))
        self._set_ready(at, rest)
        self.state.slices.at(at)[slice_id] = (slot, taken)
        self.state.due.at(partition)[f"s:{batch_id}\n{slice_id}"] = self.state.now_ms() + sweep_ms
        return taken._replace(epoch=str(part.epoch))

    @atomic
    def commit(
        self, batch_id: str, slice_id: str, slot: str, taken: Taken, steps: Sequence[ItemStep], *, last: bool
    ) -> list[bool] | None:
        at = (batch_id, self.keys.chunk_partition(batch_id, taken.chunk))
        part = self.state.parts.get(at)
        if part is None or str(part.epoch) != taken.epoch:
            return None
        before = self.state.rows.look((batch_id, taken.chunk)).copy()
        answers: dict[int, bool] = {}
        applied = [
            step.index not in answers and answers.setdefault(step.index, self._apply(at, slot, taken.chunk, step))
            for step in steps
        ]
        rows = self.state.rows.look((batch_id, taken.chunk))
        done = sum(row.startswith(b"d") for index, row in rows.items() if index not in before)
        if done:
            self._finish_items(batch_id, taken.chunk, done)
        if not last:
            return applied
        _, of = self.state.slices.look(at).get(slice_id, ("", Taken(taken.chunk, 0, 0, "n", "")))
        first = taken.chunk * CHUNK
        away = {step.index for step in steps if step.kind in ("own", "promote")}
        ended = all(applied) and away | set(rows) >= set(range(first + of.start, first + of.stop))
        if ended:
            self._end_slice(at, slice_id)
        return [*applied, ended]

    def _apply(self, at: At, slot: str, chunk: int, step: ItemStep) -> bool:
        """One item's compare-and-set; false: refused."""
        name = item_id(at[0], step.index)
        line = self.state.lines.look((name, ""))
        row = self.state.rows.look((at[0], chunk)).get(step.index)
        run = RunKey(at[1], name)
        head = line.get("head", b"").decode()
        if step.kind == "own":
            return row is not None or "own" in line
        promoted = run in self.state.records and head == step.head
        repeated = {"step": head == step.head, "end": row == step.row, "promote": promoted}
        if repeated[step.kind]:
            return True
        if row is not None or "own" in line or head != step.parent:
            return False
        if step.kind == "end":
            self._finish(at, chunk, step, name)
            return True
        if step.head < head:
            return False
        own = self.state.lines.at((name, ""))
        own["head"] = step.head.encode()
        own.write(step.sets)
        for field in step.drops:
            own.drop(field)
        if step.kind == "promote":
            self._promote(at, slot, step, run, own)
        return True

    def _finish(self, at: At, chunk: int, step: ItemStep, name: str) -> None:
        part = self.state.parts[at]
        self.state.rows.at((at[0], chunk))[step.index] = step.row
        if step.row.startswith(b"d"):
            self.state.lines.drop((name, ""))
            self.state.parts[at] = part._replace(done=part.done + 1)
        else:
            self.state.parts[at] = part._replace(failed=part.failed + 1)

    def _promote(self, at: At, slot: str, step: ItemStep, run: RunKey, line: Table[str, bytes]) -> None:
        now, part = self.state.now_ms(), self.state.parts[at]
        epoch = stored(int(line.get("e", b"0")) + 1)
        line.write((("run", run.run_id.encode()), ("own", b"1"), ("e", epoch)))
        begun = {"epoch": epoch, "status": b"running", "plan": b"0", "lease": slot.encode()}
        record = {**begun, "created": stored(now), "hinted": stored(now)}
        record.update((field, stored(value)) for field, value in step.fields)
        self.state.records.at(run).write(record.items())
        self.state.due.at(at[1])[f"r:{run.run_id}"] = now + 1000
        self.state.parts[at] = part._replace(promoted=part.promoted + 1)

    @atomic
    def slices(self, batch_id: str, partition: int) -> dict[str, tuple[str, Taken]]:
        return dict(self.state.slices.look((batch_id, partition)))

    @atomic
    def slice_of(self, batch_id: str, partition: int, slice_id: str) -> tuple[str, Taken] | None:
        return self.state.slices.look((batch_id, partition)).get(slice_id)

    @atomic
    def give_back(
        self,
        batch_id: str,
        slice_id: str,
        slot: str,
        taken: Taken,
        flag: str = "r",
        *,
        crashed: int | None = None,
        allowed: int = 3,
        row: bytes = b"",
    ) -> Answer:
        at = (batch_id, self.keys.chunk_partition(batch_id, taken.chunk))
        part = self.state.parts.get(at, Part())
        mine = self.state.slices.look(at).get(slice_id)
        if mine is None and part.returned is not None and part.returned[:2] == (slice_id, slot):
            return Answer(part.returned[2], str(part.returned[3]))
        if mine is None or (mine[0], *mine[1][:3]) != (slot, *taken[:3]):
            return Answer("stale")
        left = self._unsettled(at, mine[1])
        blamed = crashed is not None and crashed in left
        counted = self._count_crash(at, crashed, mine[1].flag) if crashed is not None and blamed else 0
        answer = "quarantined" if blamed and counted >= allowed else "ok"
        if crashed is not None and answer == "quarantined":
            self.state.rows.at((batch_id, taken.chunk))[crashed] = row
            self.state.dead.at(at[1])[item_id(batch_id, crashed)] = self.state.now_ms()
            part = part._replace(failed=part.failed + 1)
        self.state.parts[at] = part._replace(returned=(slice_id, slot, answer, counted))
        self._end_slice(at, slice_id)
        again = _spans(taken.chunk, [index for index in left if index != crashed], flag)
        if crashed is not None and blamed and answer == "ok":
            again += _spans(taken.chunk, [crashed], "c" if flag == "r" else flag)
        if again and part.state != "cancelled":
            self._make_ready(at, before=again)
            self._owe(at, self.state.now_ms())
        return Answer(answer, str(counted))

    @atomic
    def got_on(self, batch_id: str, slice_id: str, slot: str, taken: Taken) -> bool:
        at = (batch_id, self.keys.chunk_partition(batch_id, taken.chunk))
        mine = self.state.slices.look(at).get(slice_id)
        if mine is None or mine[0] != slot:
            return False
        self.state.slices.at(at)[slice_id] = (slot, mine[1]._replace(flag="r"))
        self.state.crashes.at(at).drop(taken.chunk * CHUNK + taken.start)
        return True

    def _unsettled(self, at: At, of: Taken) -> list[int]:
        """Indexes of items of a slice that neither have their rows nor go on as runs of their own."""
        rows, first = self.state.rows.look((at[0], of.chunk)), of.chunk * CHUNK
        return [
            index
            for index in range(first + of.start, first + of.stop)
            if index not in rows and RunKey(at[1], item_id(at[0], index)) not in self.state.records
        ]

    # ------------------------------------------------------------- what they share

    def _count_crash(self, at: At, index: int, flag: str) -> int:
        crashes = self.state.crashes.at(at)
        # The death that made it a suspect was one of its own, now that it died alone or was named.
        crashes[index] = crashes.get(index, int(flag == "a")) + 1
        return crashes[index]

    def _end_slice(self, at: At, slice_id: str) -> None:
        self.state.slices.at(at).drop(slice_id)
        self.state.due.at(at[1]).drop(f"s:{at[0]}\n{slice_id}")

    def _make_ready(self, at: At, *, before: Sequence[Taken] = (), after: Sequence[Taken] = ()) -> None:
        self._set_ready(at, [*before, *self.state.ready.get(at, ()), *after])

    def _set_ready(self, at: At, spans: Sequence[Taken]) -> None:
        """What is ready; where nothing is, nobody needs to look for it."""
        if spans:
            self.state.ready[at] = tuple(spans)
        else:
            self.state.ready.drop(at)
            self._settle_debt(at)

    def _owe(self, at: At, due_ms: int) -> None:
        self.state.due.at(at[1])[f"b:{at[0]}"] = due_ms

    def _settle_debt(self, at: At) -> None:
        self.state.due.at(at[1]).drop(f"b:{at[0]}")


def _spans(chunk: int, indexes: Sequence[int], flag: str) -> list[Taken]:
    """Ranges that cover ``indexes`` (in order)."""
    spans: list[Taken] = []
    for offset in (index - chunk * CHUNK for index in indexes):
        if spans and spans[-1].stop == offset:
            spans[-1] = spans[-1]._replace(stop=offset + 1)
        else:
            spans.append(Taken(chunk, offset, offset + 1, flag, ""))
    return spans
