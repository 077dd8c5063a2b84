"""Lists that superstep after superstep is appended to: stored by their ends, and always found whole."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypedDict

import pytest

from distgraph import END, START, StateGraph
from distgraph.channels import DeltaChannel
from distgraph.checkpoint.line_saver import LineSaver
from distgraph.checkpoint.memory import InMemorySaver
from distgraph.graph import add_messages
from distgraph.types import Overwrite
from tests.conformance.checkpoint.lines import Line, Saver, stored, thread, version

pytestmark = pytest.mark.conformance


class Growing(Line):
    """A line whose ``log`` is appended to."""

    def append(self, *items: Any) -> str:
        """Store the next checkpoint, whose log has these items more."""
        at = self.step + 2
        log = [*self.head["channel_values"].get("log", ()), *items]
        self.head = {
            **self.head,
            "id": f"{at:08d}-{self.branch}",
            "channel_values": {**self.head["channel_values"], "log": log},
            "channel_versions": {**self.head["channel_versions"], "log": version(at, self.branch)},
            "updated_channels": ["log"],
        }
        told: Any = {"source": "loop", "step": self.step, "parents": {}}
        new = {"log": version(at, self.branch)}
        self.config = self.saver.put(self.config, {**self.head, "grown": ["log"]}, told, new)
        self.step += 1
        return self.head["id"]


def log_at(saver: Saver, at: str) -> Any:
    return stored(saver, thread(at=at)).checkpoint["channel_values"]["log"]


def test_every_checkpoint_has_its_whole_list(saver: Saver) -> None:
    line = Growing(saver)
    ids = [line.append(n) for n in range(150)]
    for n in (0, 1, 15, 16, 17, 63, 100, 149):
        assert log_at(saver, ids[n]) == list(range(n + 1))
    found = [one.checkpoint["channel_values"]["log"] for one in saver.list(thread(), limit=40)]
    assert found == [list(range(n + 1)) for n in range(149, 109, -1)]


def test_what_is_told_of_growth_is_no_part_of_the_checkpoint(saver: Saver) -> None:
    line = Growing(saver)
    line.append("a")
    line.append("b")
    found: Any = stored(saver, thread()).checkpoint
    found.pop("clock", None)
    assert found == line.head


def test_other_channels_may_change_between(saver: Saver) -> None:
    line = Growing(saver)
    for n in range(60):
        line.append(n)
        last = line.grow(x=n)
    found = stored(saver, thread(at=last)).checkpoint["channel_values"]
    assert found == {"log": list(range(60)), "x": 59}


def test_a_list_that_is_replaced_begins_anew(saver: Saver) -> None:
    line = Growing(saver)
    before = [line.append(n) for n in range(40)][-1]
    line.grow(log=["new"])
    last = line.append("more")
    assert log_at(saver, last) == ["new", "more"]
    assert log_at(saver, before) == list(range(40))


def test_forks_share_what_they_have_in_common(saver: Saver) -> None:
    line = Growing(saver)
    ids = [line.append(n) for n in range(80)]
    fork = line.fork(ids[39], "b")
    branch = Growing(saver, branch="b")
    branch.head, branch.config, branch.step = fork.head, fork.config, line.step
    ours = [line.append(f"a{n}") for n in range(40)][-1]
    theirs = [branch.append(f"b{n}") for n in range(40)][-1]
    assert log_at(saver, ours) == [*range(80), *(f"a{n}" for n in range(40))]
    assert log_at(saver, theirs) == [*range(40), *(f"b{n}" for n in range(40))]
    assert log_at(saver, ids[79]) == list(range(80))


def test_growth_of_a_list_that_nobody_stored_is_stored_whole(saver: Saver) -> None:
    line = Growing(saver)
    line.config = thread(at="00000000-gone")
    assert log_at(saver, line.append("a", "b")) == ["a", "b"]


def test_a_deleted_thread_leaves_no_part(saver: Saver) -> None:
    line = Growing(saver)
    for n in range(50):
        line.append(n)
    saver.delete_thread("t")
    assert saver.get_tuple(thread()) is None
    again = Growing(saver)
    assert log_at(saver, again.append("a")) == ["a"]


def test_items_are_stored_a_few_times_and_not_once_a_superstep(saver: Saver) -> None:
    line = Growing(saver)
    count = _counted(saver)
    for n in range(400):
        line.append(f"{n:0100d}")
    assert 400 * 100 < count() < 400 * 100 * 16, "whole lists would be 8 MB"


def _counted(saver: Saver) -> Callable[[], int]:
    """Bytes of values that are stored from now on."""
    if isinstance(saver, InMemorySaver):
        return lambda: sum(len(data) for _, data in saver.blobs.values())
    assert isinstance(saver, LineSaver)
    sizes, stored = [0], saver._stored

    def counting(answers: Any, changes: Any = ()) -> None:
        sizes[0] += sum(len(data) for change in changes for field, data in change.sets if field.startswith("v:"))
        stored(answers, changes)

    saver._stored = counting  # type: ignore[method-assign]
    return lambda: sizes[0]


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    n: int


def looping(saver: Saver) -> Any:
    """Appends to its log until ``n`` is 0; every tenth time it starts a new one."""

    def work(state: State) -> dict[str, Any]:
        n = state["n"] - 1
        return {"n": n, "log": Overwrite([f"new {n}"]) if n % 30 == 29 else [f"{n}"]}

    builder = StateGraph(State).add_node("work", work)
    builder.add_edge(START, "work")
    builder.add_conditional_edges("work", lambda state: "work" if state["n"] else END, ["work", END])
    return builder.compile(checkpointer=saver)


@pytest.mark.parametrize("durability", ["sync", "exit"])
def test_a_graph_finds_its_list_at_every_superstep(saver: Saver, durability: Any) -> None:
    config: Any = {**thread(), "recursion_limit": 1000}
    graph, plain = looping(saver), looping(InMemorySaver())
    for given in ({"n": 50, "log": ["first"]}, {"n": 20, "log": ["second"]}):
        found = graph.invoke(given, config, durability=durability)
        assert found == plain.invoke(given, config)
    graph.update_state(config, {"log": ["by hand"]})
    plain.update_state(config, {"log": ["by hand"]})
    assert graph.invoke({"n": 5}, config) == plain.invoke({"n": 5}, config)
    if durability == "sync":
        ours, theirs = ([s.values for s in g.get_state_history(config)] for g in (graph, plain))
        assert ours == theirs


def test_a_thread_goes_on_in_another_process(saver: Saver) -> None:
    """Whoever has stored nothing here yet reads how the lists are stored."""
    config: Any = {**thread(), "recursion_limit": 1000}
    looping(saver).invoke({"n": 50, "log": []}, config)
    known = getattr(saver, "_known", None)
    if known is not None:
        known.clear()
    before = stored(saver, thread()).checkpoint["channel_values"]["log"]
    if known is not None:
        known.clear()
    after = looping(saver).invoke({"n": 3, "log": ["x"]}, config)["log"]
    assert after == [*before, "x", "2", "1", "0"]


def keyed(state: list[Any], writes: Sequence[Any]) -> list[Any]:
    """Appends; an item of a key that is there takes its place, an item without text removes it."""
    items = {item["key"]: item for item in state}
    items.update((item["key"], item) for write in writes for item in write)
    return [item for item in items.values() if item["text"]]


def merged(state: dict[str, int], writes: Sequence[Any]) -> dict[str, int]:
    return {**state, **{key: value for write in writes for key, value in write}}


class Growth(TypedDict, total=False):
    n: int
    messages: Annotated[list[Any], add_messages]
    items: Annotated[list[Any], DeltaChannel(keyed)]
    table: Annotated[dict[str, int], DeltaChannel(merged)]


def chatting(saver: Saver | None) -> Any:
    """Appends to all three; now and then an item is replaced, changed in place, removed, or everything is."""

    def work(state: Growth) -> dict[str, Any]:
        n = state["n"] - 1
        said: list[Any] = [{"role": "ai", "content": f"m{n}", "id": f"{n}"}]
        item: Any = {"key": f"{n}", "text": f"t{n}"}
        if n % 20 == 9:
            said = [{"role": "ai", "content": "again", "id": f"{n + 5}"}, *said]
            item = {"key": f"{n + 5}", "text": "again"}
        elif n % 20 == 13:
            item = state["items"][1]
            item["text"] += "!"
        elif n % 20 == 17:
            item = {"key": f"{n + 1}", "text": ""}
        return {
            "n": n,
            "messages": said,
            "items": Overwrite([item]) if n % 50 == 1 else [item],
            "table": [(f"{n % 7}", n)],
        }

    def beside(state: Growth) -> dict[str, Any]:
        return {"items": [{"key": f"beside {state['n']}", "text": "b"}]}

    builder = StateGraph(Growth).add_node("work", work).add_node("beside", beside)
    for name in ("work", "beside"):
        builder.add_edge(START, name)
    ways = ["work", "beside", END]
    builder.add_conditional_edges("work", lambda state: ["work", "beside"] if state["n"] else END, ways)
    return builder.compile(checkpointer=saver)


@pytest.mark.parametrize("durability", ["sync", "exit"])
def test_conversations_and_delta_channels_are_found_whole(saver: Saver, durability: Any) -> None:
    config: Any = {**thread(), "recursion_limit": 1000}
    graph = chatting(saver)
    given: Any = {"n": 120, "items": [{"key": "first", "text": "f"}], "messages": [], "table": []}
    result = graph.invoke(given, config, durability=durability)
    assert result == chatting(None).invoke(given, config)
    assert result == graph.get_state(config).values
    getattr(saver, "_known", {}).clear()
    assert result == chatting(saver).get_state(config).values
    after = chatting(saver).invoke({"n": 3}, config)
    assert after["messages"][: len(result["messages"]) - 3] == result["messages"][:-3]
    assert after == chatting(saver).get_state(config).values


@pytest.mark.parametrize("key", ["messages", "items"])
def test_a_conversation_is_stored_by_its_ends(saver: Saver, key: str) -> None:
    def work(state: Any) -> dict[str, Any]:
        n = state["n"] - 1
        item = {"content": f"{n:0100d}", "text": "t", "id": f"{n}", "key": f"{n}"}
        return {"n": n, key: [{"role": "ai", **item} if key == "messages" else item]}

    builder = StateGraph(Growth).add_node("work", work).add_edge(START, "work")
    builder.add_conditional_edges("work", lambda state: "work" if state["n"] else END, ["work", END])
    graph = builder.compile(checkpointer=saver)
    count = _counted(saver)
    config: Any = {**thread(), "recursion_limit": 1000}
    result = graph.invoke({"n": 300, "messages": [], "items": []}, config)
    assert len(result[key]) == 300
    assert 300 * 100 < count() < 2_000_000, "whole lists would be 4.5 MB and more"
