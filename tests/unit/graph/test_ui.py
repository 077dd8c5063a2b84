"""Parts of a user interface as state."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import pytest

from distgraph.errors import InvalidUpdateError
from distgraph.graph import START, StateGraph
from distgraph.graph.ui import delete_ui_message, push_ui_message, ui_message_reducer

pytestmark = pytest.mark.unit


class State(TypedDict):
    ui: Annotated[list[Any], ui_message_reducer]


def shown(id: str, merge: bool = False, **props: Any) -> Any:
    return {"type": "ui", "id": id, "name": "n", "props": props, "metadata": {"merge": merge}}


def run(node: Any) -> Any:
    return list(StateGraph(State).add_node("n", node).add_edge(START, "n").compile().stream({"ui": []}, None, **MODES))


MODES: Any = {"stream_mode": ["custom", "updates"]}


def test_components_are_added_changed_and_removed() -> None:
    before = ui_message_reducer([], [shown("a", x=1, y=1), shown("b")])
    assert ui_message_reducer(before, shown("a", x=2)) == [shown("a", x=2), shown("b")]
    assert ui_message_reducer(before, shown("a", True, x=2)) == [shown("a", True, x=2, y=1), shown("b")]
    assert ui_message_reducer(before, {"type": "remove-ui", "id": "a"}) == [shown("b")]
    assert ui_message_reducer(before, [{"type": "remove-ui", "id": "a"}, shown("a")]) == [shown("a"), shown("b")]
    with pytest.raises(ValueError, match="doesn't exist"):
        ui_message_reducer(before, [{"type": "remove-ui", "id": "c"}])


def test_a_node_shows_and_hides() -> None:
    def node(state: Any) -> Any:
        push_ui_message("chart", {"x": 1}, id="a")
        push_ui_message("chart", {}, id="b", state_key=None)
        delete_ui_message("a")

    (_, first), (_, second), (_, third), (_, update) = run(node)
    assert [first["id"], second["id"], third] == ["a", "b", {"type": "remove-ui", "id": "a"}]
    assert update == {"n": [{"ui": first}, {"ui": third}]}


def test_a_key_that_the_graph_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidUpdateError, match="'iu'.*which the graph does not have.*'ui'"):
        run(lambda state: push_ui_message("chart", {}, state_key="iu"))
