"""Both kinds of ledger under the same random operations: what the machines of ``test_machine`` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from distgraph.ledger.keys import split_item
from distgraph.ledger.memory.tables import Part
from distgraph.ledger.replies import Address, Answer, Commit
from tests.conformance.conftest import open_world
from tests.conformance.ledger.layout import laid_out, same_form
from tests.conformance.ledger.worlds import MemoryWorld, ServerWorld, World

BATCH = "b"
ITEMS = 3
SLOTS = ["a:1", "b:2"]
TASKS = ["T1", "T2"]
#: What a repeat may answer otherwise, as the contract says.
ANSWERS_ANEW = ("submit", "add", "reclaim", "retry_failed", "sweep")

#: Which of the runs: one of them is what most of an example is about.
numbers = st.sampled_from([0, 0, 0, 0, 1, 2])
slots = st.sampled_from(SLOTS)
tasks = st.sampled_from(TASKS)
#: Mostly what fits the state: enough refusals come by themselves.
fits = st.sampled_from([True] * 9 + [False])
rarely = st.sampled_from([False] * 5 + [True])
waits = st.sampled_from([0, 1, 50, 1000])
statuses = st.sampled_from(["running"] * 5 + ["done", "failed", "interrupted"])


def in_sum(reply: Any) -> Any:
    """Of several settlements by one slot that closed a barrier, each closes it when they are repeated."""
    if not isinstance(reply, list) or not reply or not isinstance(reply[0], Answer):
        return reply
    return [answer for answer in reply if answer.kind not in ("ok", "closed")], Answer("closed") in reply


class Twins(RuleBasedStateMachine):
    """One namespace, on a server and in memory, and the rules about runs.

    Attributes:
        about: the runs that the rules are about.
    """

    about: list[Address]
    #: Of the server.
    kind = "bundled"

    @initialize()
    def begin(self) -> None:
        server = open_world(self.kind)
        assert isinstance(server, ServerWorld)
        self.server = server
        self.twin = MemoryWorld(server.keys.namespace)
        self.made = 0
        self.last: tuple[str, Callable[[World], Any], Any] | None = None
        self.set_out()

    def set_out(self) -> None:
        """What every example begins with."""

    def teardown(self) -> None:
        if hasattr(self, "server"):
            self.server.close()

    # ------------------------------------------------------------- the means

    def both(self, name: str, operation: Callable[[World], Any]) -> Any:
        """The same on both; the same reply."""
        twin, server = operation(self.twin), operation(self.server)
        assert twin == server, name
        self.last = (name, operation, twin)
        return twin

    @invariant()
    def states_are_the_same(self) -> None:
        if hasattr(self, "server"):
            assert same_form(laid_out(self.twin.ledger, self.twin.keys)) == self.server.dump()

    def new(self) -> int:
        """A number that was never used: of a checkpoint above all others, of an attempt, of a call."""
        self.made += 1
        return self.made

    def checkpoint(self) -> str:
        return f"{self.new():08d}-cafe"

    def nonce(self) -> str:
        return f"{self.new():016d}"

    def head(self, address: Address, fit: bool = True) -> str:
        found = self.twin.runs.read_line(address.thread_id, ["head"])[0] or b""
        return found.decode() if fit else "00000001-cafe"

    def epoch(self, address: Address, fit: bool = True) -> int:
        return int(self.twin.runs.record(address).get("epoch", b"1")) - (not fit)

    def status(self, address: Address) -> str:
        return self.twin.runs.record(address).get("status", b"").decode()

    def part(self) -> Part:
        """The batch, as far as it is in the partition of its only chunk."""
        return self.twin.ledger.state.parts.get((BATCH, self.twin.keys.chunk_partition(BATCH, 0)), Part())

    def began(self, address: Address, parent: str) -> list[tuple[str, bytes | str | int]]:
        """Where a run found its thread, in its first commit."""
        known = "base" in self.twin.runs.record(address)
        return [] if known else [("base", f"{parent} {'0' if parent else ''}")]

    def in_the_way(self, address: Address) -> str:
        """Who has the thread, or waits for an answer on it."""
        active, asks = self.twin.runs.read_line(address.thread_id, ["run", "asks"])
        return (active or asks or b"").decode()

    # ------------------------------------------------------------- time

    @rule(ms=waits)
    def pass_ms(self, ms: int) -> None:
        self.twin.pass_ms(ms)
        self.server.pass_ms(ms)
        self.last = None

    @precondition(lambda self: self.last is not None)
    @rule()
    def again(self) -> None:
        """The reply was lost, and the call is sent once more."""
        assert self.last is not None
        name, operation, first = self.last
        before = self.server.dump()
        reply = self.both(name, operation)
        # A sweep of a few goes on with the next ones: what it pushes forward was not pushed by the first.
        assert name == "sweep" or self.server.dump() == before, name
        assert in_sum(reply) == in_sum(first) or name in ANSWERS_ANEW, name
        self.last = None

    # ------------------------------------------------------------- driving

    @rule(n=numbers, slot=slots)
    def revive(self, n: int, slot: str) -> None:
        """Bring a run to where it can be driven."""
        address = self.about[n]
        status = self.status(address)
        if status in ("interrupted", "failed"):
            nonce, drop = self.nonce(), sorted(self.twin.runs.outcomes(address))[:1]
            self.both("requeue", lambda w: w.runs.control("requeue", address, nonce, drop=drop, due_ms=5))
        elif status in ("done", "cancelled"):
            self.both("delete", lambda w: w.runs.delete(address))
        if self.status(address) in ("queued", "running"):
            self.both("claim", lambda w: w.runs.claim(address, slot, sweep_ms=100))

    @rule(n=numbers, slot=slots, ms=waits)
    def claim(self, n: int, slot: str, ms: int) -> None:
        address = self.about[n]
        self.both("claim", lambda w: w.runs.claim(address, slot, sweep_ms=ms))

    @rule(n=numbers, slot=slots, status=statuses, fit=fits, offered=fits, keep=st.booleans(), old=rarely)
    def commit(self, n: int, slot: str, status: str, fit: bool, offered: bool, keep: bool, old: bool) -> None:
        address = self.about[n]
        parent, item = self.head(address, fit), split_item(address.run_id)
        new = "" if status != "running" and keep else "00000000-cafe" if old else self.checkpoint()
        ends = item is not None and status in ("done", "failed")
        commit = Commit(
            address,
            slot,
            self.epoch(address, fit),
            parent,
            new,
            status,
            100,
            offered=offered,
            sets=[(f"c:{new}", b"record"), ("v:x@1", b"")] if new else [],
            drops=[f"c:{parent}", "v:y@1"] if new and not keep else [],
            fields=[("stop", 5), ("output", b"\x00\xff"), *self.began(address, parent)],
            log=[b"1", b"2"] if item is None else [],
            kept=[(f"{parent}|T1|w", b"w")] if keep else [],
            index_history=keep,
            batch_epoch=str(self.part().epoch or 0) if item else "",
            row=(status[0].encode() + b"-row") if ends else b"",
            compact=ends and not old,
        )
        self.both("commit", lambda w: w.runs.commit(commit))

    @rule(n=numbers, slot=slots, ms=waits)
    def release(self, n: int, slot: str, ms: int) -> None:
        address = self.about[n]
        self.both("release", lambda w: w.runs.release(address, slot, due_ms=ms))

    # ------------------------------------------------------------- tasks

    @rule(
        n=numbers,
        slot=slots,
        planned=st.integers(1, 2),
        settled=st.sets(tasks, max_size=1),
        held=st.sets(tasks, max_size=1),
        fit=fits,
    )
    def offer(self, n: int, slot: str, planned: int, settled: set[str], held: set[str], fit: bool) -> None:
        address = self.about[n]
        epoch, head = self.epoch(address, fit), self.head(address, fit)
        outcomes = {task: self.nonce().encode() + b"in place" for task in sorted(settled)}
        keeps = sorted(held - settled)
        self.both(
            "offer", lambda w: w.runs.offer(address, slot, epoch, head, planned, outcomes, held=keeps, sweep_ms=100)
        )

    @rule(n=numbers, slot=slots, task=tasks, fit=fits)
    def claim_task(self, n: int, slot: str, task: str, fit: bool) -> None:
        address = self.about[n]
        epoch, head = self.epoch(address, fit), self.head(address, fit)
        self.both("claim_task", lambda w: w.runs.claim_task(address, slot, epoch, head, task))

    @rule(n=numbers, slot=slots, chosen=st.lists(tasks, min_size=1, max_size=3), fit=fits)
    def settle(self, n: int, slot: str, chosen: list[str], fit: bool) -> None:
        address = self.about[n]
        epoch, head = self.epoch(address, fit), self.head(address, fit)
        attempts = [(task, self.nonce().encode()) for task in chosen]

        def settled(world: World) -> Any:
            return world.runs.settle(
                [
                    world.runs.settle_call(address, slot, epoch, head, task, nonce, b"outcome", sweep_ms=100)
                    for task, nonce in attempts
                ]
            )

        self.both("settle", settled)

    @rule(n=numbers, slot=slots, task=tasks, attempts=st.integers(1, 2), ms=waits, fit=fits)
    def retry_task(self, n: int, slot: str, task: str, attempts: int, ms: int, fit: bool) -> None:
        address = self.about[n]
        epoch, head = self.epoch(address, fit), self.head(address, fit)
        self.both(
            "retry_task",
            lambda w: w.runs.retry_task(
                address, slot, epoch, head, task, wait_ms=ms, attempts=attempts, path=f"={task}"
            ),
        )

    @rule(n=numbers, slot=slots, task=tasks, ms=waits, until=st.booleans(), fit=fits)
    def sleep_task(self, n: int, slot: str, task: str, ms: int, until: bool, fit: bool) -> None:
        address = self.about[n]
        epoch, head = self.epoch(address, fit), self.head(address, fit)
        end = ms + (self.twin.now_ms if until else 0)
        self.both(
            "sleep_task",
            lambda w: w.runs.sleep_task(address, slot, epoch, head, task, task, ms=end, until=until),
        )

    @rule(n=numbers, task=tasks, ms=st.none() | waits)
    def slept(self, n: int, task: str, ms: int | None) -> None:
        address = self.about[n]
        self.both("slept", lambda w: w.runs.slept(address, task, ms=ms))
        self.both("asleep", lambda w: w.runs.asleep(address))

    # ------------------------------------------------------------- control and recovery

    @rule(n=numbers, drop=st.sets(tasks), ms=waits)
    def requeue(self, n: int, drop: set[str], ms: int) -> None:
        address, nonce = self.about[n], self.nonce()
        fields = {f"n:{task}": b"answer" for task in sorted(drop)}
        self.both(
            "requeue",
            lambda w: w.runs.control("requeue", address, nonce, fields=fields, drop=sorted(drop), due_ms=ms),
        )

    @rule(n=numbers, version=st.sampled_from(["v1", "v2"]), really=rarely)
    def repin(self, n: int, version: str, really: bool) -> None:
        address, nonce = self.about[n], self.nonce()
        if really:
            self.both("repin", lambda w: w.runs.control("repin", address, nonce, fields={"fp": version}, due_ms=5))

    @rule(n=numbers, really=rarely)
    def cancel(self, n: int, really: bool) -> None:
        address, nonce = self.about[n], self.nonce()
        row = b"c-row" if split_item(address.run_id) else b""
        if really:
            self.both("cancel", lambda w: w.runs.control("cancel", address, nonce, row=row, log=b"cancelled"))

    @rule(n=numbers, slot=slots, crashed=st.booleans(), task=st.sampled_from(["", *TASKS]))
    def reclaim(self, n: int, slot: str, crashed: bool, task: str) -> None:
        address = self.about[n]
        self.both("reclaim", lambda w: w.runs.reclaim(address, slot, crashed=crashed, task_id=task))

    @rule(n=numbers, slot=slots, task=st.sampled_from(["", *TASKS]))
    def got_on(self, n: int, slot: str, task: str) -> None:
        address = self.about[n]
        self.both("got_on", lambda w: w.runs.got_on(address, slot, task))

    @rule(n=numbers, most=st.integers(1, 5), push=st.sampled_from([0, 10, 500]))
    def sweep(self, n: int, most: int, push: int) -> None:
        partition = self.twin.keys.partition(self.about[n].thread_id)
        self.both("sweep", lambda w: w.runs.sweep(partition, most=most, push_ms=push))

    @rule(n=numbers, ms=waits)
    def note_age(self, n: int, ms: int) -> None:
        thread, at = self.about[n].thread_id, self.twin.now_ms + ms
        self.both("note_age", lambda w: w.lines.note_age(thread, at))

    @rule(most=st.integers(1, 2), push=st.sampled_from([10, 500]))
    def aged(self, most: int, push: int) -> None:
        # Repeated it finds others, as any sweep.
        self.both("sweep", lambda w: w.lines.aged(most=most, push_ms=push))

    @rule(n=numbers, fit=fits, ms=st.none() | waits)
    def looked_at(self, n: int, fit: bool, ms: int | None) -> None:
        address = self.about[n]
        head, at = self.head(address, fit), None if ms is None else self.twin.now_ms + ms
        self.both("looked_at", lambda w: w.lines.looked_at(address.thread_id, head, at))

    @rule(n=numbers, kind=st.sampled_from(["r", "t", "s", "b"]), task=tasks)
    def forget(self, n: int, kind: str, task: str) -> None:
        address = self.about[n]
        entries = {"r": address.run_id, "t": f"{address.run_id}\n{task}", "s": f"{BATCH}\ns1", "b": BATCH}
        partition = self.twin.keys.partition(address.thread_id)
        self.both("forget", lambda w: w.runs.forget_due(partition, f"{kind}:{entries[kind]}"))

    @rule(n=numbers)
    def hinted(self, n: int) -> None:
        address, now = self.about[n], self.twin.now_ms
        self.both("hinted", lambda w: w.runs.hinted(address, now))

    @rule(n=numbers, value=st.sampled_from([None, b"one", b"two"]), retries=st.booleans())
    def effect(self, n: int, value: bytes | None, retries: bool) -> None:
        address = self.about[n]
        self.both("effect", lambda w: w.runs.effect(address, "key", value, retries=retries))

    # ------------------------------------------------------------- reads

    @rule(n=numbers)
    def look_at_a_run(self, n: int) -> None:
        address = self.about[n]
        self.both("record", lambda w: w.runs.record(address))
        self.both("address", lambda w: w.runs.address(address.run_id))
        self.both("outcomes", lambda w: w.runs.outcomes(address))
        self.both("claims", lambda w: w.runs.claims(address))
        self.both("log", lambda w: [entry for _, entry in w.runs.log(address, "0")])
        self.both("runs", lambda w: w.runs.runs())
        self.both("records", lambda w: w.runs.records([address], ["status", "graph", "wake"]))
