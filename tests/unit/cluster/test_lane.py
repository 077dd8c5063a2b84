"""A lane: one run while a process advances it. Nodes never share objects with the state, wherever they run."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest

from distgraph import END, START, StateGraph
from distgraph.channels import LastValue
from distgraph.cluster.context import context_for
from distgraph.cluster.execution import executing
from distgraph.cluster.lane import Lane
from distgraph.cluster.options import RunOptions
from distgraph.cluster.overlap import to_its_end
from distgraph.cluster.registry import Served
from distgraph.errors import CheckpointCorruptError, EmptyInputError, InvalidUpdateError
from distgraph.pregel import NodeBuilder, Pregel
from distgraph.superstep.advance import Verdict
from distgraph.types import Command
from tests.unit.cluster.small import Counted, chain, cluster_of

pytestmark = pytest.mark.unit


class Bag(TypedDict, total=False):
    bag: dict[str, Any]
    box: dict[str, Any]
    seen: list[Any]


def lane_of(graph: Any, **options: Any) -> Lane:
    """A lane at the start of a run."""
    place = cluster_of(graph).slots[0].place
    served, chosen = Served(graph), RunOptions(**options)
    lane = Lane(place, served, chosen, context_for(served, chosen, run_id="r", thread_id="t"))
    lane.limit()
    return lane


def advance(lane: Lane) -> Verdict:
    """One superstep: run its tasks, apply them."""
    assert lane.next is not None
    for task in lane.next.tasks:
        task.writes = to_its_end(executing(lane, task), lambda: False)
    lane.advance()
    return lane.next.verdict


def test_a_run_from_input_to_output() -> None:
    lane = lane_of(chain(Counted("a"), Counted("b")))
    lane.begin({"x": 1})
    lane.look()
    while lane.next is not None and lane.next.verdict is Verdict.RUN:
        advance(lane)
    assert lane.served.codec.decode(lane.output()) == {"x": 1, "trail": ["a", "b"]}


def test_changes_take_the_ledger_from_head_to_head() -> None:
    """What another lane reads from what this one stored is where this one stands."""
    graph = chain(Counted("a"), Counted("b"))
    lane = lane_of(graph)
    lane.begin({"x": 1})
    lane.look()
    advance(lane)
    line: dict[str, bytes] = dict(lane.changes().sets)
    lane.committed()
    first = dict(line)
    advance(lane)
    change = lane.changes()
    assert not {field for field, _ in change.sets} & set(first), "what did not change is not sent again"
    line.update(change.sets)
    for field in change.drops:
        line.pop(field, None)
    other = lane_of(graph)
    other.load(other.bare(lane.at.id, line[f"c:{lane.at.id}"]), dict(line))
    assert other.at.values == lane.at.values
    assert other.at.versions == lane.at.versions


def test_latest_alone_keeps_one_checkpoint() -> None:
    lane = lane_of(chain(Counted("a"), Counted("b")), keep="latest")
    lane.begin({"x": 1})
    lane.look()
    line: dict[str, bytes] = {}
    for _ in range(3):
        advance(lane)
        change = lane.changes()
        line.update(change.sets)
        for field in change.drops:
            del line[field]
        lane.committed()
    assert [field for field in line if field.startswith("c:")] == [f"c:{lane.at.id}"]


@pytest.mark.parametrize("missing", ["the record", "a value"])
def test_what_is_missing_is_named(missing: str) -> None:
    graph = chain(Counted("a"))
    lane = lane_of(graph)
    lane.begin({"x": 1})
    line: dict[str, bytes] = dict(lane.changes().sets)
    record = line.pop(f"c:{lane.at.id}")
    other = lane_of(graph)
    with pytest.raises(CheckpointCorruptError, match=lane.at.id):
        other.load(other.bare(lane.at.id, None if missing == "the record" else record), {})


def test_no_input_and_nothing_to_go_on_with() -> None:
    with pytest.raises(EmptyInputError, match="Received no input"):
        lane_of(chain(Counted("a"))).begin(None)


def test_a_command_starts_a_run_as_its_input() -> None:
    lane = lane_of(chain(Counted("a")))
    lane.begin(Command(update={"x": 3}))
    assert (lane.at.source, lane.at.values["x"]) == ("input", 3)
    with pytest.raises(InvalidUpdateError, match="no parent graph"):
        lane_of(chain(Counted("a"))).begin(Command(update={"x": 3}, graph=Command.PARENT))


@pytest.mark.parametrize("placement", ["local", "spread"])
def test_a_node_that_changes_its_input_changes_nothing(placement: Any) -> None:
    """Nor does one that goes on changing what it returned."""
    kept: list[Any] = []

    def vandal(state: dict[str, Any]) -> dict[str, Any]:
        state["bag"]["stolen"] = True
        mine = {"returned": 1}
        kept.append(mine)
        return {"box": mine}

    def later(state: dict[str, Any]) -> dict[str, Any]:
        kept[0]["returned"] = 2
        return {}

    def reads(state: dict[str, Any]) -> dict[str, Any]:
        return {"seen": [state["bag"], state["box"]]}

    builder: Any = StateGraph(Bag)
    for node in (vandal, later, reads):
        builder.add_node(node)
    for before, after in [(START, "vandal"), ("vandal", "later"), ("later", "reads"), ("reads", END)]:
        builder.add_edge(before, after)
    graph = builder.compile(name="vandal")
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"bag": {"x": 1}}, placement=placement)
    assert run.result()["seen"] == [{"x": 1}, {"returned": 1}]
    batch = cluster.submit_batch(graph, [{"bag": {"x": 1}}], placement=placement)
    cluster.run_until_idle()
    assert next(batch.results()).value["seen"] == [{"x": 1}, {"returned": 1}]


def test_a_node_sees_the_input_and_not_what_it_replaces() -> None:
    """Where only the latest checkpoint is kept, the input is not stored before the first node runs."""
    node = NodeBuilder().subscribe_only("given").do(lambda given: [*given, "seen"]).write_to("out")
    graph = Pregel(
        nodes={"node": node},
        channels={"given": LastValue(list), "out": LastValue(list)},
        input_channels="given",
        output_channels="out",
        name="reads_input",
    )
    cluster = cluster_of(graph)
    thread = {"configurable": {"thread_id": "t"}}
    for number in range(2):
        assert cluster.submit(graph, [number], thread, keep="latest").result() == [number, "seen"]
