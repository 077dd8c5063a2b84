"""Streams of runs on workers: the chunks of the graph in process, whoever reads them, and whoever dies."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import EventsTrimmedError
from distgraph.graph.chunks import STREAM_MODES
from distgraph.types import Command, Placement
from tests.graphs import hard
from tests.graphs.streamed import GRAPHS, comparable, flow, here, told_dies, told_flow, told_slow
from tests.integration.cluster.at_rest import wait_at_rest
from tests.waiting import wait_until

pytestmark = pytest.mark.integration
Config = Callable[..., Any]

ALL: Any = sorted(STREAM_MODES)


@pytest.fixture(scope="module")
def fleet(server_binary: str) -> Iterator[EmbeddedCluster]:
    with Cluster.embedded(workers=2, graphs=["tests.graphs.streamed", "tests.graphs.hard"]) as running:
        yield running


def streamed(graph: Any, given: Any, config: Any) -> list[str]:
    """All modes, of nested graphs too; the last is the error, if there was one."""
    chunks: list[Any] = []
    try:
        chunks.extend(graph.stream(given, config, stream_mode=ALL, subgraphs=True))
    except ValueError as exc:
        chunks.append(repr(exc))
    return comparable(chunks)


def given_to(name: str) -> Any:
    return {"messages": [{"role": "user", "content": "hi", "id": "m0"}]} if name == "told_talks" else {"x": 2}


@pytest.mark.parametrize("placement", get_args(Placement))
@pytest.mark.parametrize("name", GRAPHS)
def test_all_modes_at_once(fleet: EmbeddedCluster, config: Config, name: str, placement: Placement) -> None:
    remote, local, where = fleet.bind(GRAPHS[name], placement=placement), here(name), config()
    assert streamed(remote, given_to(name), where) == streamed(local, given_to(name), where)
    if name in ("told_asks", "told_nested"):
        answer: Any = Command(resume="yes")
        assert streamed(remote, answer, where) == streamed(local, answer, where)
    wait_at_rest(fleet)


def test_tasks_that_a_workflow_calls(fleet: EmbeddedCluster, config: Config) -> None:
    remote, local, where = fleet.bind(told_flow), flow(checkpointer=InMemorySaver()), config()
    given: Any
    for given in (8, Command(resume="yes")):
        assert streamed(remote, given, where) == streamed(local, given, where)


def test_a_worker_is_killed_inside_a_nested_graph(fleet: EmbeddedCluster, config: Config, tmp_path: Path) -> None:
    """What was told before its death is not told again, and nothing is left out."""
    hold = tmp_path / "hold"
    where = config()
    run = fleet.bind(GRAPHS["told_nested"]).submit({"x": 1, "hold": str(hold)}, where, log="full")
    events = run.events(ALL, subgraphs=True)
    seen = [next(events) for _ in range(20)]
    wait_until(Path(f"{hold}.at").exists, 20)
    killed = [process.kill_child() for process in fleet.processes]
    assert any(killed)
    Path(f"{hold}.at").unlink()
    wait_until(Path(f"{hold}.at").exists, 30)
    hold.touch()
    seen += events
    local = list(here("told_nested").stream({"x": 1, "hold": str(hold)}, where, stream_mode=ALL, subgraphs=True))
    assert comparable((event.ns, event.mode, event.data) for event in seen) == comparable(local)
    # A client that died at any moment, and comes back with the cursor of its last event.
    for at in (0, 9, 19, len(seen) - 2):
        rest = list(fleet.run(run.run_id).events(ALL, subgraphs=True, cursor=seen[at].cursor))
        assert [event.cursor for event in rest] == [event.cursor for event in seen[at + 1 :]]
    wait_at_rest(fleet)


def test_an_attempt_that_died_has_another_name_than_the_one_after_it(fleet: EmbeddedCluster, tmp_path: Path) -> None:
    """Its own events come twice, and say so."""
    remote = fleet.bind(told_dies)
    run = remote.submit({"x": 1, "hold": str(tmp_path / "hold")})
    told = list(run.events(["custom", "updates"]))
    assert [(event.mode, event.data) for event in told] == [
        ("custom", "here"),
        ("custom", "here"),
        ("updates", {"dies": {"trail": ["dies"]}}),
    ]
    first, second, settled = (event.attempt for event in told)
    assert first != second
    assert settled == ""


def test_a_task_is_told_as_it_ends_and_not_with_its_superstep(fleet: EmbeddedCluster, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    events = fleet.bind(told_slow).submit({"x": 1, "hold": str(hold)}).events(["updates", "tasks"])
    assert [next(events).data.get("name", "") for _ in range(2)] == ["brief", "held"]
    assert next(events).data == {"brief": {"trail": ["brief"]}}
    assert next(events).data["result"] == {"trail": ["brief"]}
    hold.touch()
    assert [event.data for event in events if event.mode == "updates"] == [
        {"held": {"trail": ["held"]}},
        {"last": {"trail": ["last"]}},
    ]


def test_a_slow_reader_does_not_hold_the_run_back(fleet: EmbeddedCluster) -> None:
    run = fleet.bind(GRAPHS["told_fan"]).submit({"x": 1})
    events = run.events(["updates", "values"])
    first = next(events)
    assert run.result(20)
    assert len([first, *events]) == len(list(run.events(["updates", "values"])))


class Turns:
    """The longest time between two turns, in seconds."""

    longest = 0.0
    _last: float | None = None

    def turn(self) -> None:
        now = time.monotonic()
        self.longest = max(self.longest, now - (self._last or now))
        self._last = now


def test_readers_under_an_event_loop_leave_it_alone(fleet: EmbeddedCluster, gate: Path) -> None:
    """Ten of them wait for the same run, and the loop goes on turning.

    How long it stands still is compared with an OS thread of the same process: a busy machine stops both.
    """
    run = fleet.bind(hard.gate).submit({"file": str(gate)})
    stop, loops, threads = threading.Event(), Turns(), Turns()

    def beside() -> None:
        while not stop.wait(0.01):
            threads.turn()

    async def read() -> list[Any]:
        return [chunk async for chunk in run.astream("updates")]

    async def main() -> list[list[Any]]:
        # What a process imports with its first stream is no reader's doing.
        first = run.astream("updates")
        await anext(first)
        await first.aclose()  # type: ignore[attr-defined] # it is a generator
        other = threading.Thread(target=beside)
        other.start()
        readers = [asyncio.create_task(read()) for _ in range(10)]
        loops.turn()
        for _ in range(50):
            await asyncio.sleep(0.01)
            loops.turn()
        stop.set()
        other.join()
        gate.touch()
        return await asyncio.gather(*readers)

    found = asyncio.run(main())
    assert loops.longest < 1 + threads.longest, "the loop stood still"
    assert (
        found == [[{"first": {"steps": ["first"]}}, {"wait": {"steps": ["wait"]}}, {"last": {"steps": ["last"]}}]] * 10
    )


def test_who_leaves_gives_its_thread_back(fleet: EmbeddedCluster, gate: Path) -> None:
    """Also while the run has nothing to tell, and to whoever waits for its result."""
    run = fleet.bind(hard.gate).submit({"file": str(gate)})

    async def leave() -> None:
        stream = run.astream("updates")
        assert await anext(stream) == {"first": {"steps": ["first"]}}
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fleet.bind(hard.gate).ainvoke({"file": str(gate)}), 0.2)

    asyncio.run(leave())
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "distgraph-stream"], 10, "they are gone")
    assert run.status() == "running"
    gate.touch()
    assert run.result(20)["steps"] == ["first", "wait", "last"]


def test_a_log_that_was_trimmed(fleet: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for what is gone is told so, from the start and with a cursor; the rest can be read."""
    run = fleet.bind(GRAPHS["told_fan"]).submit({"x": 1})
    run.result(20)
    whole = list(run.events("updates"))
    key = fleet.ledger.runs._run(run._address, "log")
    fleet.ledger.client.xtrim(key, maxlen=3, approximate=False)
    monkeypatch.setattr("distgraph.cluster.following.LOG_LENGTH", 3)
    with pytest.raises(EventsTrimmedError, match="its first events"):
        list(run.events("updates"))
    with pytest.raises(EventsTrimmedError, match="not in its log any more"):
        list(run.events("updates", cursor=whole[0].cursor))
    assert [e.data for e in run.events("updates", cursor=whole[3].cursor)] == [e.data for e in whole[4:]]
