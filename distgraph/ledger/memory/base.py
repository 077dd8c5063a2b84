"""What the parts of the twin share: a run's record, its debts, its barrier, the row of an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distgraph.ledger.keys import CHUNK, Keys, split_item
from distgraph.ledger.memory.tables import Part, RunKey, State, Table, stored
from distgraph.ledger.replies import Address, Answer

OK = Answer("ok")


def stale(why: str) -> Answer:
    """The answer to who comes too late."""
    return Answer("stale", why)


class Items:
    """What is known of a chunk's items."""

    def __init__(self, state: State) -> None:
        self.state = state

    @property
    def keys(self) -> Keys:
        """What belongs to which partition."""
        return self.state.keys

    def _finish_items(self, batch_id: str, chunk: int, done: int) -> None:
        """Count items done; when all of the chunk are, nobody needs their inputs any more."""
        finished = self.state.finished.first((batch_id, chunk), 0) + done
        self.state.finished[batch_id, chunk] = finished
        if finished >= len(self.state.inputs.get((batch_id, chunk), ())):
            self.state.inputs.drop((batch_id, chunk))


class RunState(Items):
    """A run as the twin holds it."""

    def _is_there(self, key: RunKey) -> bool:
        """Whether the run is, or as an item of a batch may be in a slice."""
        item = split_item(key.run_id)
        return key in self.state.records or (item is not None and (item[0], key.partition) in self.state.parts)

    def _set(self, key: RunKey, fields: Mapping[str, bytes | str | int]) -> None:
        self.state.records.at(key).write([(name, stored(value)) for name, value in fields.items()])

    def _log(self, key: RunKey, entry: bytes) -> None:
        """Entries are numbered from 1; their ids tell the time too, as a server's do."""
        log = self.state.logs.at(key)
        log[len(log) + 1] = (self.state.now_ms(), entry)

    def _owe(self, key: RunKey, due_ms: int) -> None:
        self.state.due.at(key.partition)[f"r:{key.run_id}"] = due_ms

    def _settle_debt(self, key: RunKey) -> None:
        self.state.due.at(key.partition).drop(f"r:{key.run_id}")

    def _stop_waiting(self, key: RunKey, task_id: str) -> None:
        self.state.records[key].drop(f"p:{task_id}")
        self.state.due.at(key.partition).drop(f"t:{key.run_id}\n{task_id}")

    @staticmethod
    def _next_epoch(line: Table[str, bytes]) -> int:
        epoch = int(line.get("e", b"0")) + 1
        line["e"] = stored(epoch)
        return epoch

    def _pass_on(self, address: Address, due_ms: int) -> None:
        """The thread has no run any more: the first in line has it, if there is one."""
        line = self.state.lines[address.thread_id, ""]
        line.drop("run")
        line.drop("asks")
        heir, *others = self.state.turns.get(address.thread_id, ("",))
        if heir:
            line["run"] = line["last"] = heir.encode()
            self._wait_in_line(address.thread_id, others)
            self._owe(RunKey(self.state.partition(address.thread_id), heir), due_ms)

    def _wait_in_line(self, thread_id: str, runs: Sequence[str]) -> None:
        if runs:
            self.state.turns[thread_id] = tuple(runs)
        else:
            self.state.turns.drop(thread_id)

    def _head(self, address: Address) -> str:
        return self.state.lines.look((address.thread_id, "")).get("head", b"").decode()

    def _all_settled(self, key: RunKey) -> bool:
        return len(self.state.outcomes.look(key)) >= int(self.state.records[key]["plan"])

    def _not_at(self, address: Address, key: RunKey, epoch: int, head: str) -> str:
        """Why a call about the superstep after ``head`` is stale; '' if it is not."""
        record = self.state.records.look(key)
        if record.get("epoch") != str(epoch).encode():
            return "epoch"
        if record["status"] != b"running":
            return record["status"].decode()
        return "" if self._head(address) == head else "head"

    def _not_open(self, address: Address, key: RunKey, epoch: int, head: str) -> str:
        why = self._not_at(address, key, epoch, head)
        return why or ("head" if self.state.records[key]["plan"] == b"0" else "")

    def _time_left(self, key: RunKey) -> dict[str, bytes]:
        """The ms that are left of the run's time limits, as its record never has them."""
        record, now = self.state.records[key], self.state.now_ms()
        told = {"ends_in": record.get("ends"), "step_in": record.get("step_ends")}
        return {name: stored(int(ends) - now) for name, ends in told.items() if ends is not None}

    def _not_free(self, key: RunKey, slot: str, task_id: str) -> Answer | None:
        if task_id in self.state.outcomes.look(key):
            return Answer("done")
        holder = self.state.claims.look(key).get(task_id, slot)
        return None if holder == slot else Answer("held", holder)

    def _close(self, key: RunKey, slot: str, look_ms: int) -> bool:
        """Give the lease to whoever settled the last task, unless another slot has it."""
        lease = self.state.records[key]["lease"].decode()
        if not self._all_settled(key) or lease not in ("", slot):
            return False
        self._set(key, {"lease": slot})
        self._owe(key, look_ms)
        return True

    # ------------------------------------------------------------- of a batch item

    def _rows(self, item: tuple[str, int]) -> dict[int, bytes]:
        return self.state.rows.look((item[0], item[1] // CHUNK))

    def _add_row(self, partition: int, item: tuple[str, int], row: bytes, status: str) -> None:
        self.state.rows.at((item[0], item[1] // CHUNK))[item[1]] = row
        part = self.state.parts.get((item[0], partition), Part())
        counted = {status: getattr(part, status) + 1, "promoted": part.promoted - 1}
        self.state.parts[item[0], partition] = part._replace(**counted)
