"""One process: chains, loops, fan-outs, Sends, much state, nested graphs, building; with and without a saver."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import msgpack
import redis

from distgraph.ledger.server import EmbeddedServer
from ops.bench.common import Case, Numbers, Skip, enough
from ops.bench.machine import memory_mb
from ops.bench.workloads import WORKS, Work, api_of, awaited

UNIT = "us a superstep (a node, where wide or built)"
BETTER = "lower"
BASELINES = ("langgraph", "floor")
COLUMNS = (("first_us", "first run"), ("peak_mb", "peak MB"))

_SIZES = {
    "sequential": (10, 100, 1000, 3000),
    "loop": (500,),
    "fanout": (100, 1000),
    "send": (100, 1000),
    "wide": (600,),
    "pydantic": (600,),
    "subgraph": (100,),
}
#: What is measured with coroutine nodes too.
_AWAITED = (("sequential", 100), ("sequential", 1000), ("loop", 500), ("fanout", 1000), ("send", 100), ("send", 1000))
#: What a floor exists for: the plain loop that a person would write.
_FLOORS = ("sequential", "loop")


def cases() -> list[Case]:
    """Every workload and size, saver and way to call, on all engines."""
    found = [
        Case(f"build {n}", engine, {"work": "build", "n": n})
        for n in (10, 100, 1000)
        for engine in ("distgraph", "langgraph")
    ]
    for work, sizes in _SIZES.items():
        for n in sizes:
            for saver in ("none", "memory", "redis"):
                for mode in ("invoke", "ainvoke"):
                    if mode == "invoke" or ((work, n) in _AWAITED and saver != "redis"):
                        options = {"work": work, "n": n, "saver": saver, "mode": mode}
                        found += [Case(f"{work} {n} {mode} {saver}", engine, options) for engine in _engines(options)]
    return found


def _engines(options: dict[str, Any]) -> list[str]:
    floor = options["work"] in _FLOORS and options["mode"] == "invoke" and options["saver"] != "memory"
    return ["distgraph", "langgraph", *(["floor"] if floor else [])]


def measure(case: Case) -> Numbers:
    """Microseconds for each superstep or node: median of some runs, the first one apart."""
    options = case.options
    if options["work"] == "build":
        return _build(case.engine, options["n"])
    work, n = WORKS[options["work"]], options["n"]
    if case.engine == "floor":
        with _floor(options["work"], n, options["saver"]) as run:
            return _summed(_repeat(run), work.share(n))
    with _saver(case.engine, options["saver"]) as saver:
        wrap = awaited if options["mode"] == "ainvoke" else _plain
        graph = work.build(api_of(case.engine), n, wrap).compile(checkpointer=saver)
        first: list[float] = []
        times = _times(graph, work, n, options["mode"], first)
        return {**_summed(times, work.share(n)), "peak_mb": first[0]}


def _plain(node: Any) -> Any:
    return node


def _times(graph: Any, work: Work, n: int, mode: str, peak: list[float]) -> list[float]:
    def checked(out: Any) -> None:
        if not work.right(out, n):
            raise AssertionError(f"wrong result of {work}: {str(out)[:200]}")
        if not peak:
            peak.append(memory_mb())

    def config(index: int) -> dict[str, Any]:
        return {"configurable": {"thread_id": f"t{index}"}, "recursion_limit": 10 * n + 100}

    if mode == "invoke":
        return _repeat(lambda index: graph.invoke(work.given(n), config(index)), checked)

    async def repeat() -> list[float]:
        times: list[float] = []
        while not enough(times):
            began = time.perf_counter()
            out = await graph.ainvoke(work.given(n), config(len(times)))
            times.append(time.perf_counter() - began)
            checked(out)
        return times

    return asyncio.run(repeat())


def _repeat(run: Callable[[int], Any], checked: Callable[[Any], None] = lambda _: None) -> list[float]:
    times: list[float] = []
    while not enough(times):
        began = time.perf_counter()
        out = run(len(times))
        times.append(time.perf_counter() - began)
        checked(out)
    return times


def _summed(times: list[float], share: int) -> Numbers:
    # the first run meets cold caches and lazy imports
    return {"value": median(times[1:] or times) / share * 1e6, "first_us": times[0] / share * 1e6}


def _build(engine: str, n: int) -> Numbers:
    api, work = api_of(engine), WORKS["sequential"]
    return _summed(_repeat(lambda _: work.build(api, n, _plain).compile()), n)


@contextmanager
def _saver(engine: str, kind: str) -> Iterator[Any]:
    if kind == "none":
        yield None
    elif kind == "memory":
        yield api_of(engine).InMemorySaver()
    elif engine == "distgraph":
        from distgraph.checkpoint.redis import RedisSaver

        with EmbeddedServer(persistence="memory") as server, RedisSaver.from_conn_string(server.url) as saver:
            yield saver
    else:
        try:
            # The peer's own Redis saver needs modules that a plain server does not have.
            from langgraph_checkpoint_aws import ValkeySaver
        except ImportError:
            raise Skip(
                "pip install langgraph-checkpoint-aws[valkey] for a saver of the peer's on a plain server"
            ) from None
        with (
            EmbeddedServer(persistence="memory") as server,
            ValkeySaver.from_conn_string(server.url, pool_size=64) as saver,
        ):
            yield saver


@contextmanager
def _floor(work: str, n: int, saver: str) -> Iterator[Callable[[int], Any]]:
    """The same nodes in a loop that knows the schedule; with "redis" one pipelined write after each."""
    if saver == "none":
        yield lambda _: _loop(work, n, lambda *_: None)
        return
    with EmbeddedServer(persistence="memory") as server, redis.Redis.from_url(server.url) as client:

        def store(run: int, step: int, state: dict[str, Any]) -> None:
            with client.pipeline(transaction=False) as pipe:
                pipe.hset(f"floor:{run}", str(step), msgpack.packb(state))
                pipe.hset(f"floor:{run}", "head", step)
                pipe.execute()

        yield lambda run: _loop(work, n, lambda step, state: store(run, step, state))


def _loop(work: str, n: int, store: Callable[[int, dict[str, Any]], None]) -> dict[str, Any]:
    node = (lambda state: {"count": state["count"] + 1}) if work == "loop" else (lambda _: None)
    state: dict[str, Any] = WORKS[work].given(n)
    for step in range(n):
        state.update(node(dict(state)) or {})
        store(step, state)
    return state
