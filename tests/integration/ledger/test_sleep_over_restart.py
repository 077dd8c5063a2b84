"""A run that sleeps for days on a real server: it holds nothing, and neither does the end of all processes wake or lose it."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, TypedDict

import pytest

from distgraph import END, START, StateGraph
from distgraph.cluster.deliver import deliver
from distgraph.cluster.drive import drive
from distgraph.cluster.hints import Hint, RunHint, meant
from distgraph.cluster.options import RunOptions
from distgraph.cluster.registry import Registry
from distgraph.cluster.workplace import Workplace
from distgraph.ledger.connection import connect
from distgraph.ledger.replies import Address
from distgraph.ledger.server import EmbeddedServer
from distgraph.runtime import Runtime
from tests.conformance.ledger.worlds import START_MS, ServerWorld

pytestmark = pytest.mark.integration

DAY_MS = 86_400_000
RUN = "sleeper"


class State(TypedDict, total=False):
    trail: Annotated[list[str], operator.add]


def nap(state: State, runtime: Runtime[Any]) -> State:
    runtime.sleep(timedelta(days=3))
    return {"trail": ["slept"]}


class Hints:
    """What goes to the broker."""

    def __init__(self) -> None:
        self.sent: list[Hint] = []

    def publish(self, hints: Any, *, first: bool = False) -> None:
        self.sent += hints

    def reachable(self) -> bool:
        return True

    def waiting(self, queue: str | None = None) -> int:
        return len(self.sent)

    def expected(self, queue: str | None = None) -> frozenset[str] | None:
        return frozenset(name for hint in self.sent for name in meant(hint))


class Worker:
    """One process that serves the graph, over a server whose clock the test turns."""

    def __init__(self, url: str, now_ms: int) -> None:
        builder = StateGraph(State).add_node("first", lambda state: {"trail": ["first"]}).add_node("nap", nap)
        builder.add_edge(START, "first").add_edge("first", "nap").add_edge("nap", END)
        self.world = ServerWorld("sleep", connect(url))
        self.world.pass_ms(now_ms - START_MS)
        self.hints, registry = Hints(), Registry()
        self.served = registry.add(builder.compile(name="naps"))
        world: Any = self.world
        self.place = Workplace(
            *(world.runs, world.batches, world.items, world.kept, world.lines, world.fleet),
            registry,
            self.hints,
            "boot:1",
        )
        self.hint = RunHint(RUN, RUN, "naps", self.served.fingerprint)

    def submit(self) -> None:
        codec = self.served.codec
        told: dict[str, bytes | str | int] = {"graph": "naps", "fp": self.served.fingerprint, "thread": RUN}
        told |= {"input": codec.encode({"trail": []}), "config": codec.encode(RunOptions().plain())}
        self.world.runs.submit(self.address, "d", told, due_ms=0)

    @property
    def address(self) -> Address:
        return Address(RUN, RUN)

    def due(self) -> list[Any]:
        """What a sweep finds overdue, and drives it, as a worker does."""
        found = self.world.runs.sweep(self.world.keys.partition(RUN), most=9, push_ms=1000).due
        if found:
            deliver(self.place, RunHint(RUN, RUN, "naps", self.served.fingerprint, again=True), lambda: None)
        while self.hints.sent:
            deliver(self.place, self.hints.sent.pop(0), lambda: None)
        return found


@pytest.fixture
def server(server_program: str) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(binary=server_program) as running:
        yield running


def test_three_days_and_the_end_of_everything(server: EmbeddedServer) -> None:
    worker = Worker(server.url, START_MS)
    worker.submit()
    drive(worker.place, worker.hint)
    begun = worker.world.runs.record(worker.address)
    assert (begun["status"], begun["lease"], int(begun["wake"])) == (b"running", b"", START_MS + 3 * DAY_MS)
    assert worker.world.runs.claims(worker.address) == {}
    assert worker.hints.sent == []
    worker.world.client.close()

    server.kill()
    server.restart()
    for days, due in ((1, 0), (2, 0), (3, 1)):
        # a new process each day: nothing but the server remembers
        worker = Worker(server.url, START_MS + days * DAY_MS + due)
        assert len(worker.due()) == due
        record = worker.world.runs.record(worker.address)
        assert record["status"] == (b"done" if due else b"running")
        worker.world.client.close()
    assert worker.served.codec.decode(record["output"])["trail"] == ["first", "slept"]
    again = Worker(server.url, START_MS + 9 * DAY_MS)
    assert again.due() == []
    again.world.close()
