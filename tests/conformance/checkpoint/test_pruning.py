"""Old checkpoints go, threads are copied; what stays is whole, to the last part of a list."""

from __future__ import annotations

import asyncio
import operator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypedDict

import pytest

from distgraph import END, START, StateGraph
from distgraph.channels import DeltaChannel
from distgraph.checkpoint.memory import InMemorySaver
from distgraph.checkpoint.retention import SLACK, CheckpointRetention
from distgraph.errors import ConfigError, InputError
from distgraph.types import Command, Overwrite, interrupt
from tests.conformance.checkpoint.lines import Line, Saver, ids, stored, thread

pytestmark = pytest.mark.conformance


def extend(old: list[int], new: list[list[int]]) -> list[int]:
    return [*old, *(one for part in new for one in part)]


class State(TypedDict, total=False):
    n: int
    same: str
    log: Annotated[list[int], operator.add]
    delta: Annotated[list[int], DeltaChannel(extend)]


def counting(saver: Saver, steps: int = 40) -> Any:
    """Counts, with a list and a delta channel that grow, and something that never changes."""

    def work(state: State) -> State:
        n = state["n"] + 1
        return {"n": n, "log": [n], "delta": [n]}

    builder = StateGraph(State).add_node("work", work).add_edge(START, "work")
    builder.add_conditional_edges("work", lambda state: "work" if state["n"] % steps else END, ["work", END])
    return builder.compile(checkpointer=saver, name="counting")


def config_of(name: str = "t", limit: int = 500) -> Any:
    return {"configurable": {"thread_id": name}, "recursion_limit": limit}


def whole(state: Any, n: int) -> None:
    assert state.values == {"n": n, "same": "x", "log": [*range(1, n + 1)], "delta": [*range(1, n + 1)]}


def sizes(saver: Any) -> int:
    """How many values and records are stored."""
    if isinstance(saver, InMemorySaver):
        return len(saver.blobs) + len(saver.ends) + sum(len(s) for t in saver.storage.values() for s in t.values())
    stamp = saver._lines.stamp
    return sum(stamp(place).fields for name in saver.threads() for place in saver._places(thread(name, ns=None)))


def test_the_latest_stays_and_is_whole(saver: Saver) -> None:
    graph, config = counting(saver), config_of()
    graph.invoke({"n": 0, "same": "x"}, config)
    before = sizes(saver)
    saver.prune(["t", "nobody"])
    assert len([*graph.get_state_history(config)]) == 1
    whole(graph.get_state(config), 40)
    assert sizes(saver) < before
    graph.invoke({"n": 40}, config)
    whole(graph.get_state(config), 80)


@pytest.mark.parametrize("last", [1, 2, 7, 41, 1000])
def test_the_last_ones_stay_and_are_whole(saver: Saver, last: int) -> None:
    graph, config = counting(saver), config_of()
    graph.invoke({"n": 0, "same": "x"}, config)
    history = [one.values for one in graph.get_state_history(config)]
    saver.prune(["t"], strategy=CheckpointRetention(last=last))
    assert [one.values for one in graph.get_state_history(config)] == history[:last]
    saver.prune(["t"], strategy=CheckpointRetention(last=last))
    assert [one.values for one in graph.get_state_history(config)] == history[:last]


def test_pruning_again_and_again_leaves_as_much_as_once(saver: Saver) -> None:
    """Lists that are begun anew, forks, and values that stay the same: nothing is left that nobody names."""
    graph = counting(saver)
    for name in ("often", "once"):
        config = config_of(name)
        for n in range(4):
            graph.invoke({"n": 40 * n, "same": "x", "log": Overwrite([n])}, config)
            past = [*graph.get_state_history(config, limit=9)][-1]
            graph.update_state(past.config, {"log": [99]}, as_node="work")
            if name == "often":
                saver.prune([name], strategy=CheckpointRetention(last=3))
        saver.prune([name], strategy=CheckpointRetention(last=3))
    often, once = (
        [(one.values["n"], one.values["log"]) for one in graph.get_state_history(config_of(name))]
        for name in ("often", "once")
    )
    assert often == once
    left = {}
    for name in ("often", "once"):
        saver.copy_thread(name, f"{name} copied")
        total = sizes(saver)
        saver.delete_thread(f"{name} copied")
        left[name] = total - sizes(saver)
        total = sizes(saver)
        saver.delete_thread(name)
        # a copy has what its checkpoints name and nothing else
        assert total - sizes(saver) == left[name]
    assert sizes(saver) == 0


def test_a_fork_that_stays_keeps_what_it_shares(saver: Saver) -> None:
    graph, config = counting(saver), config_of()
    graph.invoke({"n": 0, "same": "x"}, config)
    past = [*graph.get_state_history(config)][20]
    forked = graph.update_state(past.config, {"log": [-1], "n": 39}, as_node="work")
    values = graph.get_state(forked).values
    saver.prune(["t"])
    assert graph.get_state(config).values == values
    graph.invoke(None, config)
    assert graph.get_state(config).values["log"] == [*values["log"], 40]


def test_who_goes_on_from_what_was_deleted_is_refused_or_whole(saver: Saver) -> None:
    """Nobody gets a checkpoint that lacks values."""
    graph, config = counting(saver), config_of()
    graph.invoke({"n": 0, "same": "x"}, config)
    past = [*graph.get_state_history(config)][20]
    found = stored(saver, past.config)
    saver.prune(["t"])
    at: Any = {**found.checkpoint, "id": found.checkpoint["id"][:-1] + "f"}
    if isinstance(saver, InMemorySaver):
        return  # one process: nothing happens between the two
    with pytest.raises(InputError, match="is not there any more: it was deleted while"):
        saver.put(past.config, at, found.metadata, {})
    whole(graph.get_state(config), 40)


def test_by_age(saver: Saver) -> None:
    line = Line(saver)
    now = datetime.now(UTC)
    made = []
    for hours in (9, 7, 5, 3, 1):
        line.grow(a=hours)
        line.head["ts"] = (now - timedelta(hours=hours)).isoformat()
        saver.put(thread(), line.head, {"source": "loop", "step": 1, "parents": {}}, line.head["channel_versions"])
        made.append(line.head["id"])
    saver.prune(["t"], strategy=CheckpointRetention(age=timedelta(hours=6)))
    assert ids(saver.list(thread())) == made[:1:-1]
    saver.prune(["t"], strategy=CheckpointRetention(last=2, age=timedelta(hours=4)))
    assert ids(saver.list(thread())) == made[:2:-1]
    saver.prune(["t"], strategy=CheckpointRetention(age=timedelta(minutes=1)))
    assert ids(saver.list(thread())) == made[:3:-1]


def test_writes_go_with_their_checkpoint(saver: Saver) -> None:
    line = Line(saver)
    for n in range(3):
        line.grow(a=n)
        saver.put_writes(line.config, [("a", f"w{n}")], f"task{n}")
    for n in range(1500):
        saver.put_writes(thread(at="00000001-a"), [("a", n)], f"wide{n}")
    saver.prune(["t"])
    assert [write[2] for write in stored(saver, thread()).pending_writes or []] == ["w2"]
    assert stored(saver, thread()).checkpoint["channel_values"] == {"a": 2}
    if isinstance(saver, InMemorySaver):
        assert len(saver.writes) == 1


# ---------------------------------------------------------------- what waits


def asking(saver: Saver) -> Any:
    """A graph whose nested graph asks, after some supersteps of its own."""

    def inner_step(state: State) -> State:
        return {"n": state["n"] + 1}

    def ask(state: State) -> State:
        return {"same": interrupt("which?")}

    inner = StateGraph(State).add_node("step", inner_step).add_node("ask", ask)
    inner.add_edge(START, "step").add_edge("step", "ask").add_edge("ask", END)
    builder = (
        StateGraph(State).add_node("first", lambda state: {"n": state["n"] + 10}).add_node("inner", inner.compile())
    )
    builder.add_node("again", lambda state: {"n": state["n"] + 100})
    builder.add_edge(START, "first").add_edge("first", "inner").add_edge("inner", "again").add_edge("again", END)
    return builder.compile(checkpointer=saver, name="asking")


def test_a_question_survives_and_is_answered(saver: Saver) -> None:
    graph, config = asking(saver), config_of()
    graph.invoke({"n": 0}, config)
    saver.prune(["t"])
    assert [one.value for one in graph.get_state(config).interrupts] == ["which?"]
    found = graph.invoke(Command(resume="this"), config)
    assert (found["n"], found["same"]) == (111, "this")
    spaces = {one.config["configurable"]["checkpoint_ns"] for one in saver.list(thread(ns=None))}
    assert len(spaces) == 2
    saver.prune(["t"])  # the nested graph goes with the checkpoint whose task it was
    assert len([*saver.list(thread(ns=None))]) == 1
    assert graph.get_state(config).values["same"] == "this"


def test_a_copy_goes_on_by_itself(saver: Saver) -> None:
    graph, config, twin = asking(saver), config_of(), config_of("twin")
    graph.invoke({"n": 0}, config)
    saver.copy_thread("t", "twin")
    assert [one.values for one in graph.get_state_history(twin)] == [
        one.values for one in graph.get_state_history(config)
    ]
    assert graph.invoke(Command(resume="this"), twin)["same"] == "this"
    assert [one.value for one in graph.get_state(config).interrupts] == ["which?"]
    saver.delete_thread("t")
    assert graph.get_state(twin).values["n"] == 111
    assert graph.invoke({"n": 1}, twin)["n"] == 11  # and asks again


def test_a_copy_has_the_whole_history_and_its_lists(saver: Saver) -> None:
    graph, config, twin = counting(saver), config_of(), config_of("twin")
    graph.invoke({"n": 0, "same": "x"}, config)
    saver.copy_thread("t", "twin")
    before = [one.values for one in graph.get_state_history(config)]
    saver.delete_thread("t")
    assert [one.values for one in graph.get_state_history(twin)] == before
    graph.invoke({"n": 40}, twin)
    whole(graph.get_state(twin), 80)


def test_only_what_is_there_is_copied_and_only_to_where_nothing_is(saver: Saver) -> None:
    Line(saver, "t").grow(a=1)
    Line(saver, "u").grow(a=2)
    with pytest.raises(InputError, match="There is no thread 'nobody' to copy"):
        saver.copy_thread("nobody", "v")
    with pytest.raises(InputError, match="There is a thread 'u' already"):
        saver.copy_thread("t", "u")
    assert stored(saver, thread("u")).checkpoint["channel_values"] == {"a": 2}


# ---------------------------------------------------------------- by strategy, by run


def test_delete_leaves_nothing_of_these_threads(saver: Saver) -> None:
    for name in ("t", "u"):
        Line(saver, name).grow(a=1)
    saver.prune(["t"], strategy="delete")
    assert (saver.get_tuple(thread("t")), saver.get_tuple(thread("u")) is None) == (None, False)


@pytest.mark.parametrize("strategy", ["keep_all", None, 3])
def test_an_unknown_strategy_is_refused(saver: Saver, strategy: Any) -> None:
    Line(saver).grow(a=1)
    with pytest.raises(ConfigError, match="does not exist. Use 'keep_latest', 'delete', or a CheckpointRetention"):
        saver.prune(["t"], strategy=strategy)


def test_what_runs_made_is_deleted(saver: Saver) -> None:
    line, other = Line(saver), Line(saver, "u")
    made = [line.grow({"run_id": run}, a=n) for n, run in enumerate(("r1", "r2", "r1", "r3"))]
    other.grow({"run_id": "r1"}, a=1)
    saver.delete_for_runs(["r1", "r9"])
    assert ids(saver.list(thread())) == [made[3], made[1]]
    assert saver.get_tuple(thread("u")) is None
    saver.delete_for_runs(["r3"])
    assert stored(saver, thread()).checkpoint["channel_values"] == {"a": 1}
    line.grow(a=5)
    assert ids(saver.list(thread())) == [line.head["id"], made[1]]


def test_under_an_event_loop(saver: Saver) -> None:
    line = Line(saver)
    for n in range(3):
        line.grow({"run_id": f"r{n}"}, a=n)

    async def all_of_them() -> None:
        await saver.aprune(["t"], strategy=CheckpointRetention(last=2))
        await saver.acopy_thread("t", "u")
        await saver.adelete_for_runs(["r2"])

    asyncio.run(all_of_them())
    assert [len([*saver.list(thread(name))]) for name in ("t", "u")] == [1, 1]


# ---------------------------------------------------------------- while it is written


@pytest.mark.parametrize("durability", ["sync", "async"])
def test_a_saver_keeps_so_many(saver: Any, durability: Any) -> None:
    saver._retention = CheckpointRetention(last=3)
    graph, config = counting(saver, 200), config_of()
    seen = []
    for chunk in graph.stream({"n": 0, "same": "x"}, config, durability=durability):
        seen.append(chunk)
        if len(seen) % 25 == 0:
            assert len(ids(saver.list(thread()))) <= 3 + SLACK
    whole(graph.get_state(config), 200)
    assert 3 <= len(ids(saver.list(thread()))) <= 3 + SLACK
    assert all(
        one.values["log"] == [*range(1, one.values["n"] + 1)] for one in graph.get_state_history(config, limit=3)
    )


@pytest.mark.parametrize("odd", [{}, {"last": 0}, {"last": True}, {"last": 1.5}, {"age": 7}, {"age": timedelta(0)}])
def test_a_retention_says_something(odd: Any) -> None:
    with pytest.raises(ConfigError, match="give last, a number from 1, or age, a positive timedelta, or both"):
        CheckpointRetention(**odd)
