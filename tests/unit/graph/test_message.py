"""The reducer of conversations, with and without langchain_core."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from distgraph.channels import BinaryOperatorAggregate
from distgraph.cluster.registry import codec_for
from distgraph.constants import START
from distgraph.graph import message
from distgraph.graph.message import REMOVE_ALL_MESSAGES, MessagesState, add_messages, name_messages, push_message
from distgraph.graph.state import StateGraph

pytestmark = pytest.mark.unit


def said(text: str, id: str | None = None, type: str = "ai") -> Any:
    return SimpleNamespace(type=type, content=text, id=id)


def gone(id: str) -> Any:
    return said("", id, "remove")


def texts(messages: Any) -> list[Any]:
    return [item["content"] if isinstance(item, dict) else item.content for item in messages]


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        (said("c", "3"), ["a", "b", "c"]),
        ([said("c", "3"), said("d", "4")], ["a", "b", "c", "d"]),
        (said("A", "1"), ["A", "b"]),
        ([gone("1")], ["b"]),
        ([gone("1"), said("A", "1")], ["A", "b"]),
        ([said("A", "1"), gone("1")], ["b"]),
        ([said("x", "9"), gone(REMOVE_ALL_MESSAGES), said("y", "8")], ["y"]),
        ([], ["a", "b"]),
    ],
)
def test_messages_are_appended_replaced_and_removed_by_id(update: Any, expected: list[str]) -> None:
    before = [said("a", "1"), said("b", "2")]
    assert texts(add_messages(before, update)) == expected
    assert texts(before) == ["a", "b"]


def test_removing_what_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="an ID that doesn't exist"):
        add_messages([], [gone("1")])


def test_messages_without_id_get_one() -> None:
    added = add_messages([], [said("a"), said("b")])
    assert isinstance(added, list)
    assert len({item.id for item in added}) == 2


def test_both_sides_are_needed_and_none_gives_the_reducer() -> None:
    with pytest.raises(ValueError, match=r"Only received: 'left'"):
        add_messages([])
    reducer = add_messages()
    assert callable(reducer)
    assert texts(reducer([said("a", "1")], [said("b", "2")])) == ["a", "b"]


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="Unrecognized format='other'"):
        add_messages([], [], format="other")  # type: ignore[arg-type]


@pytest.fixture
def without_langchain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "langchain_messages", lambda: None)


@pytest.mark.usefixtures("without_langchain")
def test_without_langchain_texts_and_pairs_become_dicts() -> None:
    added: Any = add_messages([], ["hello", ("ai", "hi"), {"role": "user", "content": "you", "id": "3"}])
    assert [(item["role"], item["content"]) for item in added] == [("user", "hello"), ("ai", "hi"), ("user", "you")]
    assert all(item["id"] for item in added)
    assert texts(add_messages(added, {"role": "user", "content": "me", "id": "3"})) == ["hello", "hi", "me"]
    assert texts(add_messages(added, {"type": "remove", "id": "3"})) == ["hello", "hi"]


@pytest.mark.usefixtures("without_langchain")
def test_without_langchain_what_is_no_message_is_refused() -> None:
    with pytest.raises(ValueError, match="Not a message: 5"):
        add_messages([], [5])
    with pytest.raises(ValueError, match="needs langchain_core"):
        add_messages([], [], format="langchain-openai")


def test_with_langchain_everything_becomes_its_messages() -> None:
    messages = pytest.importorskip("langchain_core.messages")
    added: Any = add_messages([], ["hello", ("ai", "hi"), messages.AIMessageChunk("part")])
    assert [type(item).__name__ for item in added] == ["HumanMessage", "AIMessage", "AIMessage"]


def test_message_objects_are_named_in_place() -> None:
    new, old = said("a"), said("b", "1")
    name_messages([new, old, "text", {"role": "user"}])
    name_messages(old)
    assert new.id is not None
    assert old.id == "1"


def test_a_graph_of_messages() -> None:
    def reply(state: MessagesState) -> Any:
        return {"messages": [said(f"you said {texts(state['messages'])[-1]}")]}

    graph = StateGraph(MessagesState).add_node(reply).add_edge(START, "reply").compile()
    assert texts(graph.invoke({"messages": [said("hi", type="human")]})["messages"]) == ["hi", "you said hi"]


@pytest.mark.usefixtures("without_langchain")
def test_a_pushed_message_is_sent_at_once_and_kept_before_what_the_node_returns() -> None:
    def push(state: MessagesState) -> Any:
        push_message({"role": "ai", "content": "now", "id": "1"})
        push_message(said("not kept", "2"), state_key=None)
        return {"messages": [said("then", "3")]}

    graph = StateGraph(MessagesState).add_node(push).add_edge(START, "push").compile()
    chunks = list(graph.stream({"messages": []}, stream_mode=["messages", "values"]))
    assert texts([chunk[0] for mode, chunk in chunks if mode == "messages"]) == ["now", "not kept", "then"]
    assert texts(chunks[-1][1]["messages"]) == ["now", "then"]


def test_a_pushed_message_needs_an_id_and_a_node() -> None:
    with pytest.raises(RuntimeError, match="only inside a node"):
        push_message(said("x", "1"))
    graph = StateGraph(MessagesState).add_node("n", lambda state: push_message(("ai", "x"))).add_edge(START, "n")
    with pytest.raises(ValueError, match="Message ID is required"):
        graph.compile().invoke({"messages": []})


@pytest.mark.parametrize("reducer", [add_messages, add_messages()])
def test_only_messages_that_are_new_make_a_conversation_grow(reducer: Any) -> None:
    channel: BinaryOperatorAggregate[Any] = BinaryOperatorAggregate(list, reducer)
    before = [said("a", "1"), said("b", "2")]

    def grew(*updates: Any) -> bool:
        return channel.grew(before, updates, channel.reduce(before, updates))

    assert grew([said("c", "3")])
    assert grew(said("c", "3"), {"role": "user", "content": "d"})
    assert not grew([said("A", "1")]), "put in place of another"
    assert not grew([gone("1")])
    assert not grew([gone(REMOVE_ALL_MESSAGES), said("x", "9")])
    assert not grew([before[0]]), "it may have been changed since it was stored"


def test_a_message_of_the_state_gets_its_id_as_another_object() -> None:
    """It may be stored without one."""
    before = [said("a")]
    after: Any = add_messages(before, [said("b")])
    assert before[0].id is None
    assert after[0].id is not None


def test_pieces_of_messages_can_be_stored_as_messages_can() -> None:
    messages = pytest.importorskip("langchain_core.messages")
    piece = messages.AIMessageChunk("he", id="1")
    graph = StateGraph(MessagesState).add_node("n", lambda state: None).add_edge(START, "n").compile(name="talk")
    codec = codec_for(graph)
    again = codec.decode(codec.encode((piece, {"about": 1})))[0]
    assert (type(again), again.content, again.id) == (type(piece), "he", "1")
