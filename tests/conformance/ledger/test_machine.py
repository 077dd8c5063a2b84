"""The scripts against their twin: the same random operations on both, replies and whole states compared after each.

The twin is written from the contract and not from the scripts, so where the two differ, one of them is wrong, or the
contract is silent. Each operation is now and then repeated at once, as a client does that lost the reply: nothing may
change by that. What was found becomes a test of its own in ``tests/conformance/ledger``.
"""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from distgraph.ledger.contract.runs import Policy
from distgraph.ledger.replies import Address, ItemStep, Taken
from tests.conformance.ledger.twins import BATCH, ITEMS, Twins, fits, numbers, rarely, slots, waits

# Thousands of operations on a real server each: some ten seconds on a quiet machine, minutes on a busy one.
pytestmark = [pytest.mark.conformance, pytest.mark.timeout(300)]

names = st.sampled_from(["s1", "s2"])
policies: st.SearchStrategy[Policy] = st.sampled_from(["reject", "enqueue", "enqueue", "interrupt", "rollback"])
everyone = st.sampled_from([0, 1, 1, 2, 3])
kinds = st.sampled_from(["step", "step", "end", "promote", "promote", "own"])


class Runs(Twins):
    """Runs that are submitted: three on one thread, one of which has its id; one alone on the thread of its own id."""

    about = [Address("r2", "t"), Address("r3", "t"), Address("r1", "r1"), Address("t", "t")]  # noqa: RUF012

    def set_out(self) -> None:
        self.submit(0, "d1", 50)
        self.claim(0, "a:1", 50)

    @rule(n=everyone, digest=st.sampled_from(["d1", "d1", "d2"]), ms=waits, policy=policies, fit=fits)
    def submit(self, n: int, digest: str, ms: int, policy: Policy = "reject", fit: bool = True) -> None:
        address = self.about[n]
        if self.both("reserve", lambda w: w.runs.reserve(address)) != address.thread_id:
            return
        ends = self.in_the_way(address) if fit and policy in ("interrupt", "rollback") else ""
        fields = {"input": b"\x00"}
        submitted = self.both(
            "submit",
            lambda w: w.runs.submit(
                address, digest, fields, due_ms=ms, policy=policy, ends=ends, log=b"ended" if ends else b""
            ),
        )
        how: Literal["keep", "drop"] = "keep" if submitted.kind in ("new", "waits", "same") else "drop"
        self.both("reserve", lambda w: w.runs.reserve(address, how))

    @rule(n=numbers, fit=fits)
    def tell_start(self, n: int, fit: bool) -> None:
        address = self.about[n]
        epoch = int(self.twin.runs.record(address).get("epoch", b"1"))
        self.both("tell_start", lambda w: w.runs.tell_start(address, epoch, self.head(address, fit), b"go"))

    @rule(n=numbers, entry=st.binary(max_size=3))
    def log(self, n: int, entry: bytes) -> None:
        address = self.about[n]
        if self.status(address):
            self.both("append_log", lambda w: w.runs.append_log(address, [entry]))
            self.last = None


class Items(Twins):
    """A batch whose items are driven in slices, and go on as runs of their own."""

    about = [Address(f"{BATCH}:{n}", f"{BATCH}:{n}") for n in range(ITEMS)]  # noqa: RUF012

    def set_out(self) -> None:
        self.add(50)
        self.take("s1", "a:1", 2)
        self.commit_items("s1", "a:1", [("promote", 0, True)], False, True)

    @property
    def partition(self) -> int:
        return self.twin.keys.chunk_partition(BATCH, 0)

    def taken(self, name: str, slot: str, fit: bool) -> tuple[str, Taken]:
        """Who has the slice, and what is in it."""
        found = self.twin.batches.slice_of(BATCH, self.partition, name)
        holder, of = found or (slot, Taken(0, 0, ITEMS, "n", ""))
        return (holder if fit else slot), of._replace(epoch=str((self.part().epoch or 0) - (not fit)))

    @rule(ms=waits)
    def add(self, ms: int) -> None:
        items = [b"item-%d" % n for n in range(ITEMS)]
        self.both("open", lambda w: w.batches.open(BATCH, {"graph": "g"}, 1000))
        self.both("add", lambda w: w.batches.add(BATCH, 0, "digest", items, due_ms=ms))

    @rule(name=names, slot=slots, k=st.integers(1, ITEMS))
    def take(self, name: str, slot: str, k: int) -> None:
        partition = self.partition
        self.both("take", lambda w: w.batches.take(BATCH, partition, name, slot, k, sweep_ms=100))

    @rule(
        name=names,
        slot=slots,
        steps=st.lists(st.tuples(kinds, numbers, fits), max_size=3),
        last=st.booleans(),
        fit=fits,
    )
    def commit_items(self, name: str, slot: str, steps: list[tuple[Any, int, bool]], last: bool, fit: bool) -> None:
        holder, of = self.taken(name, slot, fit)
        made = [self.item_step(*step) for step in steps]
        self.both("commit_items", lambda w: w.batches.commit(BATCH, name, holder, of, made, last=last))

    def item_step(self, kind: Any, index: int, fit: bool) -> ItemStep:
        parent = self.head(self.about[index], fit)
        if kind == "end":
            return ItemStep("end", index, parent, row=b"d-row" if index % 2 else b"f-row")
        if kind == "own":
            return ItemStep("own", index, "")
        new = parent if kind == "promote" and parent and fit else self.checkpoint()
        sets, drops = [(f"c:{new}", b"record")], [f"c:{parent}"] if new != parent else []
        fields = (("thread", f"{BATCH}:{index}"), ("digest", "")) if kind == "promote" else ()
        return ItemStep(kind, index, parent, new, sets, drops, fields=fields)

    @rule(
        name=names,
        slot=slots,
        flag=st.sampled_from(["r", "a"]),
        culprit=st.sampled_from([None, 0, 1]),
        allowed=st.integers(1, 3),
        fit=fits,
    )
    def give_back(self, name: str, slot: str, flag: Any, culprit: int | None, allowed: int, fit: bool) -> None:
        holder, of = self.taken(name, slot, fit)
        self.both(
            "give_back",
            lambda w: w.batches.give_back(
                BATCH, name, holder, of, flag, crashed=culprit, allowed=allowed, row=b"f-poison"
            ),
        )

    @rule(name=names, slot=slots, fit=fits)
    def item_got_on(self, name: str, slot: str, fit: bool) -> None:
        holder, of = self.taken(name, slot, fit)
        if of.stop - of.start == 1:
            self.both("item_got_on", lambda w: w.batches.got_on(BATCH, name, holder, of))

    @rule(what=st.sampled_from(["pause", "continue", "continue", "cancel"]), really=rarely)
    def control_batch(self, what: Any, really: bool) -> None:
        if what != "cancel" or really:
            self.both("control_batch", lambda w: w.batches.control(BATCH, what, "a pause"))

    @rule()
    def retry_failed(self) -> None:
        self.both("retry_failed", lambda w: w.batches.retry_failed(BATCH, 1))

    @rule(really=rarely)
    def delete_batch(self, really: bool) -> None:
        if really:
            self.both("delete_batch", lambda w: w.batches.delete(BATCH, 1))

    @rule(what=st.sampled_from(["finish", "reopen", "expire", "drop"]), really=rarely)
    def end_of_the_batch(self, what: str, really: bool) -> None:
        if what == "finish":
            self.both("finish", lambda w: w.batches.finish(BATCH))
        elif what == "reopen":
            self.both("reopen", lambda w: w.batches.reopen(BATCH))
        elif what == "expire" or really:
            self.both("drop", lambda w: w.batches.drop(BATCH, "w1", expired=what == "expire"))
        self.both("over", lambda w: w.batches.over(w.now_ms, most=9))
        self.both("expired", lambda w: w.batches.expired(BATCH))

    @rule()
    def look_at_the_batch(self) -> None:
        partition, everything = self.partition, Taken(0, 0, ITEMS, "n", "0")
        self.both("counts", lambda w: w.batches.counts(BATCH))
        self.both("rows", lambda w: w.batches.rows(BATCH, 0))
        self.both("slices", lambda w: w.batches.slices(BATCH, partition))
        self.both("ready", lambda w: w.batches.ready_partitions(BATCH))
        self.both("settled_items", lambda w: w.batches.settled_items(BATCH, everything))
        self.both("items", lambda w: w.batches.items(BATCH, everything))
        self.both("lines", lambda w: w.batches.lines(BATCH, range(ITEMS)))
        self.both("manifest", lambda w: w.batches.manifest(BATCH))


class RunsOnRedis7(Runs):
    kind = "redis"


class ItemsOnRedis7(Items):
    kind = "redis"


class RunsOnRedis62(Runs):
    kind = "redis62"


class ItemsOnRedis62(Items):
    kind = "redis62"


TestRuns = Runs.TestCase
TestItems = Items.TestCase
TestRunsOnRedis7 = RunsOnRedis7.TestCase
TestItemsOnRedis7 = ItemsOnRedis7.TestCase
TestRunsOnRedis62 = RunsOnRedis62.TestCase
TestItemsOnRedis62 = ItemsOnRedis62.TestCase
TestRuns.settings = TestItems.settings = settings(settings(), stateful_step_count=60)
# What differs between servers is how they run a script, not what it says: a few long examples show that.
_FEW = settings(settings(), stateful_step_count=60, max_examples=max(10, settings().max_examples // 6))
TestRunsOnRedis7.settings = TestItemsOnRedis7.settings = _FEW
TestRunsOnRedis62.settings = TestItemsOnRedis62.settings = _FEW


def test_what_comes_after_a_deletion_is_deleted_the_next_time() -> None:
    """A batch whose counters are gone is not one whose items are all done: their lines were left for good."""
    state = Items()
    state.begin()
    try:
        state.delete_batch(really=True)
        state.control_batch(really=True, what="cancel")
        for _ in range(7):
            state.add(ms=0)
        state.commit_items(fit=True, last=False, name="s1", slot="a:1", steps=[("step", 0, True)])
        state.delete_batch(really=True)
        state.states_are_the_same()
    finally:
        state.teardown()
