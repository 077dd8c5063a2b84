"""Situations that many tests begin with, and the small things they are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from distgraph.ledger.keys import CHUNK
from distgraph.ledger.replies import Address, Answer, Claimed, Commit, ItemStep, Taken
from tests.conformance.ledger.worlds import World

RUN = Address("r1", "r1")
A, B = "boot-a:1", "boot-b:2"
LOOK_MS = 1000
#: Checkpoint ids: sorted by age.
C1, C2, C3, C4 = (f"0000000{n}-cafe" for n in range(1, 5))
FIRST, SECOND = b"1" * 16, b"2" * 16

OK = Answer("ok")


@contextmanager
def unchanged(world: World) -> Iterator[None]:
    """What happens inside leaves the ledger as it was, to the last key."""
    before = world.dump()
    yield
    assert world.dump() == before


def stale(why: str) -> Answer:
    return Answer("stale", why)


# ----------------------------------------------------------------- runs


def submit(world: World, address: Address = RUN, **fields: bytes | str | int) -> int:
    """A queued run; its epoch."""
    submitted = world.runs.submit(address, "d", fields, due_ms=LOOK_MS)
    assert submitted.kind == "new"
    return submitted.epoch


def claim(world: World, slot: str = A, address: Address = RUN) -> Claimed:
    return world.runs.claim(address, slot, sweep_ms=LOOK_MS)


def driven(world: World, slot: str = A, address: Address = RUN, **fields: bytes | str | int) -> int:
    """A run that ``slot`` drives; its epoch."""
    epoch = submit(world, address, **fields)
    assert claim(world, slot, address).kind == "ok"
    return epoch


def step(
    head: str,
    parent: str = "",
    status: str = "running",
    *,
    address: Address = RUN,
    slot: str = A,
    epoch: int = 1,
    **more: Any,
) -> Commit:
    """A superstep whose record is its head's name."""
    sets = [(f"c:{head}", head.encode())] if head else []
    return Commit(address, slot, epoch, parent, head, status, LOOK_MS, **{"sets": sets, **more})


def advanced(world: World, head: str = C1, parent: str = "", *, address: Address = RUN, slot: str = A) -> None:
    """The run's head moves to ``head``."""
    record = world.runs.record(address)
    assert world.runs.commit(step(head, parent, address=address, slot=slot, epoch=int(record["epoch"]))) == OK


def offer(
    world: World,
    planned: int,
    settled: Mapping[str, bytes] | None = None,
    *,
    head: str = C1,
    slot: str = A,
    epoch: int = 1,
    address: Address = RUN,
    held: Sequence[str] = (),
) -> Answer:
    return world.runs.offer(address, slot, epoch, head, planned, settled or {}, held=held, sweep_ms=LOOK_MS)


def offered(world: World, planned: int = 2, settled: Mapping[str, bytes] | None = None) -> None:
    """A run at ``C1`` whose superstep of ``planned`` tasks is open to all."""
    driven(world)
    advanced(world)
    assert offer(world, planned, settled).kind == "ok"


def claim_task(world: World, task: str, slot: str = A, *, epoch: int = 1, head: str = C1) -> Any:
    return world.runs.claim_task(RUN, slot, epoch, head, task)


def settle(
    world: World,
    task: str,
    slot: str = A,
    nonce: bytes = FIRST,
    outcome: bytes = b"wrote",
    *,
    epoch: int = 1,
    head: str = C1,
) -> Answer:
    call = world.runs.settle_call(RUN, slot, epoch, head, task, nonce, outcome, sweep_ms=LOOK_MS)
    return world.runs.settle([call])[0]


def retry(
    world: World, task: str, slot: str = A, *, wait_ms: int = 500, attempts: int = 1, epoch: int = 1, head: str = C1
) -> Answer:
    return world.runs.retry_task(RUN, slot, epoch, head, task, wait_ms=wait_ms, attempts=attempts, path=f"={task}")


def asked(world: World) -> None:
    """A run that rests after ``C1``: T1 wrote, T2 asks."""
    driven(world)
    advanced(world)
    offer(world, 2, {"T1": FIRST + b"wrote", "T2": FIRST + b"asks"})
    assert world.runs.commit(step("", C1, "interrupted", offered=True)) == OK


def due(world: World, address: Address = RUN) -> list[Any]:
    """What is overdue in the partition of a thread, without pushing it far."""
    swept = world.runs.sweep(world.keys.partition(address.thread_id), most=100, push_ms=0)
    return list(swept.due)


# --------------------------------------------------------------- batches

BATCH = "b1"


def part_of(world: World, chunk: int = 0, batch: str = BATCH) -> int:
    return world.keys.chunk_partition(batch, chunk)


def added(world: World, count: int = 3, chunk: int = 0, batch: str = BATCH) -> None:
    """A chunk of ``count`` items, the first of which is ``item-0``."""
    first = chunk * CHUNK
    items = [b"item-%d" % (first + offset) for offset in range(count)]
    assert world.batches.add(batch, chunk, f"digest-{chunk}-{count}", items, due_ms=LOOK_MS) == "new"


def take(world: World, slice_id: str = "s1", slot: str = A, k: int = 10, chunk: int = 0) -> Taken | None:
    return world.batches.take(BATCH, part_of(world, chunk), slice_id, slot, k, sweep_ms=LOOK_MS)


def taken(world: World, count: int = 3, slice_id: str = "s1", slot: str = A) -> Taken:
    """A batch of ``count`` items, all in one slice."""
    added(world, count)
    found = take(world, slice_id, slot, count)
    assert found is not None
    return found


def item_commit(
    world: World, of: Taken, *steps: ItemStep, slice_id: str = "s1", slot: str = A, last: bool = False
) -> list[bool] | None:
    return world.batches.commit(BATCH, slice_id, slot, of, steps, last=last)


def go_on(index: int, head: str = C1, parent: str = "", **more: Any) -> ItemStep:
    return ItemStep("step", index, parent, head, **{"sets": [(f"c:{head}", head.encode())], **more})


def end(index: int, parent: str = "", row: bytes = b"d-result") -> ItemStep:
    return ItemStep("end", index, parent, row=row)


def promote(index: int, head: str = C1, parent: str = "", **fields: bytes | str | int) -> ItemStep:
    pairs = tuple({"thread": f"{BATCH}:{index}", "batch_e": "0", **fields}.items())
    return ItemStep("promote", index, parent, head, sets=[(f"c:{head}", head.encode())], fields=pairs)


def own(index: int) -> ItemStep:
    return ItemStep("own", index, "")


def promoted(world: World, index: int = 0, count: int = 3) -> tuple[Taken, Address]:
    """A batch of which one item goes on as a run of its own, driven by A."""
    of = taken(world, count)
    assert item_commit(world, of, promote(index)) == [True]
    return of, Address(f"{BATCH}:{index}", f"{BATCH}:{index}")


def give_back(
    world: World,
    of: Taken,
    flag: Literal["r", "a"] = "r",
    *,
    slice_id: str = "s1",
    slot: str = A,
    crashed: int | None = None,
    allowed: int = 3,
    row: bytes = b"f-poison",
) -> Answer:
    return world.batches.give_back(BATCH, slice_id, slot, of, flag, crashed=crashed, allowed=allowed, row=row)
