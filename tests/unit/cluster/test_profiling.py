"""Where the time of a run on workers went: what its slots note, and what is read of it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from distgraph import END, START, StateGraph
from distgraph.cluster.profiling import read_profile
from distgraph.cluster.registry import codec_for
from distgraph.cluster.stopwatch import RAN
from distgraph.errors import ConfigError, EventsTrimmedError
from distgraph.graph.profiling import Profile
from distgraph.testing import InProcessCluster, die
from distgraph.types import Command, RetryPolicy, Send, interrupt
from tests.unit.cluster.small import Counted, State, ask, chain, cluster_of

pytestmark = pytest.mark.unit

CODEC = codec_for()
#: A slot's clock is an hour off.
CREATED, OFF = 1_000_000.0, 3600.0


def wide(count: int = 3, **options: Any) -> Any:
    """START -> plan -> (part, part, part) -> END, with a conditional edge."""
    builder = StateGraph(State)
    builder.add_node("plan", Counted("plan", lambda _: time.sleep(0.02)))
    builder.add_node("part", Counted("part", lambda _: time.sleep(0.01)), **options)
    builder.add_edge(START, "plan").add_edge("part", END)
    builder.add_conditional_edges("plan", lambda _: [Send("part", {"x": n}) for n in range(count)], ["part"])
    return builder.compile(name="wide")


def calls(found: Profile) -> dict[str, int]:
    return {node.node: node.calls for node in found.nodes}


@pytest.mark.parametrize("placement", ["auto", "spread", "local"])
def test_nodes_supersteps_and_state(placement: Any) -> None:
    cluster = cluster_of(graph := wide())
    found = cluster.bind(graph, placement=placement).profile({"x": 1})
    assert found.value["trail"] == ["plan", "part", "part", "part"]
    assert calls(found) == {"plan": 1, "part": 3}
    assert {span.edge for span in found.spans} == {"", "condition"}
    assert [(step.step, step.tasks) for step in found.steps if step.slowest != START] == [(1, 1), (2, 3)]
    nodes = {node.node: node for node in found.nodes}
    assert nodes["plan"].total >= 0.02 <= nodes["part"].longest + 0.01
    assert (found.state["trail"] or 0) > 10
    assert found.critical >= 0.03
    assert {span.slot.partition(":")[0] for span in found.spans} <= {slot.boot for slot in cluster.slots}


def test_under_an_event_loop() -> None:
    cluster = cluster_of(graph := wide())
    assert calls(asyncio.run(cluster.bind(graph).aprofile({"x": 1}))) == {"plan": 1, "part": 3}


def test_a_run_is_profiled_from_afar_and_others_keep_no_times() -> None:
    cluster = cluster_of(graph := wide())
    timed, plain = (cluster.submit(graph, {"x": 1}, profile=profile) for profile in (True, False))
    assert [run.result()["trail"][0] for run in (timed, plain)] == ["plan", "plan"]
    assert calls(cluster.run(timed.run_id).profile()) == {"plan": 1, "part": 3}
    with pytest.raises(ConfigError, match="keeps no times of its nodes. Submit it with profile=True"):
        cluster.run(plain.run_id).profile()
    log = cluster.memory.runs.log(plain._address, "0")
    assert not any(b"times" in data or RAN.encode() in data for _, data in log)
    with pytest.raises(ConfigError, match="keeps times in the run's log"):
        cluster.submit(graph, {"x": 1}, profile=True, log=False)


@pytest.mark.parametrize("placement", ["auto", "spread"])
def test_its_streams_are_those_of_any_run(placement: Any) -> None:
    """Entries with times alone tell readers nothing, also where they come after the run's end."""
    cluster = cluster_of(graph := wide(4))
    told = []
    for profile in (False, True):
        run = cluster.submit(graph, {"x": 1}, placement=placement, profile=profile)
        run.result()
        told.append([*run.stream(["updates", "values"])])
        cluster.memory.runs.append_log(run._address, [CODEC.encode([RAN, ["s:1.0", 0.0, 0.0, [], {}]])])
        assert [*run.stream(["updates", "values"])] == told[-1]
    assert told[0] == told[1]


def test_every_attempt_is_there() -> None:

    def fails(_: Any) -> None:
        if node.calls == 1:
            raise ConnectionError("once")

    node = Counted("shaky", fails)
    graph = chain(node, retry_policy=RetryPolicy(initial_interval=5.0, jitter=False))
    cluster = cluster_of(graph)
    found = cluster.bind(graph).profile({"x": 1})
    assert [span.attempt for span in found.spans if span.node == "shaky"] == [1, 2]
    assert found.waiting == pytest.approx(5, abs=1), "nobody is at it before its retry"
    assert found.wall == pytest.approx(found.working + found.waiting + found.overhead)


def test_what_failed_has_a_profile_too() -> None:
    graph = chain(Counted("a"), Counted("b", lambda _: 1 / 0))
    cluster = cluster_of(graph)
    with pytest.raises(ZeroDivisionError):
        cluster.bind(graph).profile({"x": 1})
    assert calls(cluster.runs()[0].profile()) == {"a": 1, "b": 1}


def test_time_at_rest_counts_nowhere() -> None:
    graph = chain(Counted("a"), Counted("b", ask("ok?")), Counted("c"))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1}, profile=True)
    run.result()
    cluster.advance_clock(1000 * 86_400_000)
    run.resume("yes")
    run.result()
    found = run.profile()
    assert calls(found) == {"a": 1, "b": 2, "c": 1}
    assert found.wall < 60
    assert max(span.end for span in found.spans) <= found.wall


def test_a_conversation_that_goes_on_is_profiled() -> None:
    """``profile`` of an answer: the run has its times from then on."""

    def asks(state: State) -> Any:
        return {"trail": [interrupt("?")]}

    graph = StateGraph(State).add_node("asks", asks).add_edge(START, "asks").compile(name="asks")
    cluster = cluster_of(graph)
    config: Any = {"configurable": {"thread_id": "t"}}
    cluster.bind(graph).invoke({"x": 1}, config)
    found = cluster.bind(graph).profile(Command(resume="yes"), config)
    assert (found.value["trail"], calls(found)) == (["yes"], {"asks": 1})


def test_a_death_loses_what_was_not_told_and_no_more() -> None:
    node = Counted("b", lambda _: die() if node.calls == 1 else None)
    graph = chain(Counted("a"), node)
    cluster = cluster_of(graph, slots=2)
    found = cluster.bind(graph).profile({"x": 1})
    assert found.value["trail"] == ["a", "b"]
    assert calls(found) == {"a": 1, "b": 1}


def test_a_log_that_lost_its_beginning_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = cluster_of(graph := wide())
    run = cluster.submit(graph, {"x": 1}, profile=True)
    run.result()
    log = cluster.memory.state.logs[cluster.memory.state.key(run._address)]
    log[1] = log[len(log) - 1]
    monkeypatch.setattr("distgraph.cluster.following.LOG_LENGTH", 1)
    with pytest.raises(EventsTrimmedError, match="its first events are not in its log"):
        run.profile()


def entry(at: float, *what: Any) -> tuple[str, bytes]:
    """An entry of a log, at so many seconds after the submission by the server's clock."""
    return f"{round((CREATED + at) * 1000)}-0", CODEC.encode([*what])


def times(slot: str, since: float, at: float, *spans: tuple[int, str, float, float], off: float = 0.0) -> list[Any]:
    """What a slot noted, by a clock that is ``off``."""
    base = CREATED + off
    told = [[step, node, "", 1, base + start, base + end, f"{node}-task"] for step, node, start, end in spans]
    return [slot, base + since, base + at, told, {"x": 7}]


def step(at: float, number: int, told: list[Any]) -> tuple[str, bytes]:
    return entry(at, "step", number, f"c{number}", "loop", [], {}, [], {}, {"times": told})


def test_waiting_is_told_apart_from_working() -> None:
    """Two workers, one of whose clocks is an hour ahead: a in the first, then b and c in both, c late."""
    log = [
        step(2.0, 1, times("w1:1.0", 1.0, 2.0, (1, "a", 1.1, 1.9))),
        entry(4.0, "settled", [], {}, times("w2:2.0", 2.5, 4.0, (2, "b", 2.6, 3.9), off=OFF)),
        entry(7.0, RAN, times("w1:1.0", 5.0, 7.0, (2, "c", 5.1, 6.9))),
        step(7.1, 2, times("w2:2.0", 7.0, 7.1, off=OFF)),
        entry(7.2, "end", "done", None, [], {"times": times("w2:2.0", 7.1, 7.2, off=OFF)}),
    ]
    found = read_profile(CODEC, log, "g", CREATED)
    assert found.wall == pytest.approx(7.2, abs=0.01)
    assert found.working == pytest.approx(0.8 + 1.3 + 1.8, abs=0.01)
    assert found.waiting == pytest.approx(1.0 + 0.5 + 1.0, abs=0.01)
    assert found.overhead == pytest.approx(found.wall - found.working - found.waiting)
    assert found.ready == {"b-task": pytest.approx(2.0, abs=0.01), "c-task": pytest.approx(2.0, abs=0.01)}
    assert {node.node: round(node.waited, 1) for node in found.nodes} == {"a": 0.0, "b": 0.6, "c": 3.1}
    assert [round(one.waited, 1) for one in found.steps] == [0.0, 3.1]
    assert found.critical == pytest.approx(0.8 + 1.8, abs=0.01)
    assert found.state == {"x": 7}


def test_what_it_waited_for_can_be_seen() -> None:
    log = [
        step(1.0, 0, times("w1:1.0", 0.5, 1.0)),
        entry(4.0, RAN, times("w1:1.0", 2.0, 4.0, (1, "a", 2.5, 3.5))),
    ]
    found = read_profile(CODEC, log, "g", CREATED)
    events = json.loads(json.dumps(found.trace()))["traceEvents"]
    timed = [one for one in events if one["ph"] == "X"]
    shown = {(one["name"], round(one["ts"] / 1e6, 1), round(one["dur"] / 1e6, 1)) for one in timed}
    groups = {one["pid"]: one["args"]["name"] for one in events if one["ph"] == "M"}
    assert {groups[one["pid"]] for one in timed if "wait" in one["name"]} == {"waiting"}
    assert shown >= {
        *{("a", 2.5, 1.0), ("a waits", 1.0, 1.5), ("superstep 1", 2.5, 1.0)},
        *{("nobody is at the run", 0.0, 0.5), ("nobody is at the run", 1.0, 1.0)},
    }
    assert "waiting 1.5 s (38%)" in str(found)
    assert found.to_json()["nodes"][0]["waited"] == pytest.approx(1.5, abs=0.01)


def test_entries_of_a_release_without_times_are_passed_over() -> None:
    log = [
        entry(1.0, "step", 0, "c0", "input", [], {}, [], {}, {}),
        entry(2.0, "settled", [], {}),
        entry(3.0, "end", "done", None, []),
    ]
    found = read_profile(CODEC, log, "g", CREATED)
    assert (found.wall, found.spans, found.waiting) == (0.0, [], 0.0)
    assert str(found).startswith("g: 0 us")


def test_the_graph_itself_is_as_it_was() -> None:
    cluster: InProcessCluster = cluster_of(graph := wide())
    before = graph.program.nodes["plan"].action
    cluster.bind(graph).profile({"x": 1})
    assert cluster.registry.get("wide").program is graph.program
    assert graph.program.nodes["plan"].action is before
