"""What nodes may return, and the writes it becomes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from distgraph.constants import ROOT, TASKS
from distgraph.errors import InvalidUpdateError, ParentCommand, RoutingError
from distgraph.graph.nodes import naming_writer, root_writer, state_writers
from distgraph.types import Command, Send
from distgraph.warnings import DistgraphWarning

pytestmark = pytest.mark.unit

KEYS = frozenset({"a", "b"})
NODES = {"next": None, "other": None}


@dataclass
class Record:
    a: int = 0
    b: int | None = None


class Model(BaseModel):
    a: int = 0
    b: int | None = None


write = state_writers(KEYS, NODES, KEYS)("node")


@pytest.mark.parametrize(
    ("output", "writes"),
    [
        (None, []),
        ({}, []),
        ({"a": 1, "b": None}, [("a", 1), ("b", None)]),
        (Record(a=2), [("a", 2), ("b", None)]),
        (Model(a=2), [("a", 2)]),
        (Model(b=None), [("a", 0), ("b", None)]),
        (Command(update={"a": 1}, goto="next"), [("a", 1), ("branch:to:next", None)]),
        (Command(update=[("a", 1), ("a", 2)]), [("a", 1), ("a", 2)]),
        (Command(update=Model(a=3)), [("a", 3)]),
        (Command(goto=["next", "__end__", Send("other", 5)]), [("branch:to:next", None), (TASKS, Send("other", 5))]),
        (Send("next", 1), [(TASKS, Send("next", 1))]),
        ([{"a": 1}, Command(update={"b": 2}, goto="next")], [("a", 1), ("b", 2), ("branch:to:next", None)]),
        ((Command(goto="next"), {"a": 1}), [("a", 1), ("branch:to:next", None)]),
    ],
)
def test_every_kind_of_update(output: Any, writes: list[Any]) -> None:
    assert sorted(write(output), key=str) == sorted(writes, key=str)


def test_updates_come_before_routes() -> None:
    assert write(Command(goto="next", update={"a": 1})) == [("a", 1), ("branch:to:next", None)]


@pytest.mark.parametrize("output", ["text", 5, [1, 2], [], ["next"], object()])
def test_anything_else_is_refused_with_the_nodes_name(output: Any) -> None:
    with pytest.raises(InvalidUpdateError, match=r"Expected dict, got .* from node 'node'"):
        write(output)


def test_a_command_for_the_parent_leaves_the_graph() -> None:
    command: Command[str] = Command(graph=Command.PARENT, update={"a": 1})
    with pytest.raises(ParentCommand) as caught:
        write(command)
    assert caught.value.args[0] is command


@pytest.mark.parametrize("goto", ["nxt", Send("nxt", 1), "__start__"])
def test_going_to_an_unknown_node_is_an_error_because_work_would_be_lost(goto: Any) -> None:
    with pytest.raises(RoutingError, match="unknown node"):
        write(Command(goto=goto))


def test_an_unknown_key_is_dropped_with_one_warning() -> None:
    once = state_writers(KEYS, NODES, KEYS | {"hidden"})("node")
    with pytest.warns(DistgraphWarning, match=r"unknown-key: Node 'node' wrote 'c', which no schema"):
        assert once({"a": 1, "c": 2}) == [("a", 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert once({"a": 1, "c": 2}) == [("a", 1)]
        assert once({"hidden": 1}) == []


def test_an_unknown_key_is_reported_for_each_node() -> None:
    writers = state_writers(KEYS, NODES, KEYS)
    for name in ("node", "next"):
        with pytest.warns(DistgraphWarning, match=f"unknown-key: Node '{name}' wrote 'c'"):
            writers(name)({"c": 2})


def test_an_unknown_key_is_an_error_in_a_strict_graph() -> None:
    strict = state_writers(KEYS, NODES, KEYS, strict=True)("node")
    with pytest.raises(InvalidUpdateError, match="Did you mean 'a'"):
        strict({"aa": 1})


@pytest.mark.parametrize(
    ("output", "writes"),
    [
        (None, []),
        (0, [(ROOT, 0)]),
        ([1], [(ROOT, [1])]),
        ({"a": 1}, [(ROOT, {"a": 1})]),
        (Command(update=3, goto="next"), [(ROOT, 3), ("branch:to:next", None)]),
        ([4, Command(update=[5])], [(ROOT, 4), (ROOT, [5])]),
        (Send("next", 1), [(TASKS, Send("next", 1))]),
    ],
)
def test_a_state_of_one_value_takes_whatever_is_returned(output: Any, writes: list[Any]) -> None:
    assert root_writer("node", NODES)(output) == writes


def test_messages_get_their_ids_before_anybody_reads_them() -> None:
    class Message:
        type, content, id = "ai", "hello", None

    messages = [Message(), Message()]
    naming_writer(write, KEYS)({"a": messages, "b": Message()})
    assert all(isinstance(message.id, str) for message in messages)
    assert messages[0].id != messages[1].id
