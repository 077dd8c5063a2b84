"""JSON schemas of inputs, outputs and contexts."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Required
from typing import TypedDict as TypingDict

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from distgraph.constants import START
from distgraph.graph.json_schema import context_schema, json_schema
from distgraph.graph.schema import read_schema
from distgraph.graph.state import StateGraph
from distgraph.pregel import Pregel

pytestmark = pytest.mark.unit


class State(TypedDict):
    value: int
    log: Annotated[list[str], operator.add]


class Model(BaseModel):
    value: int = 3


@dataclass
class Record:
    value: int
    word: str | None
    many: list[int] = field(default_factory=list)
    count: int = 2


class Loose:
    value: int


def of(typ: Any) -> dict[str, Any]:
    return json_schema(typ, read_schema(typ).channels, "Title")


def test_a_typed_dict() -> None:
    schema = of(State)
    assert schema["title"] == "State"
    assert schema["required"] == ["value", "log"]
    assert schema["properties"]["log"]["items"] == {"type": "string"}


def test_a_model_speaks_for_itself() -> None:
    assert of(Model)["properties"]["value"]["default"] == 3


def test_a_dataclass_keeps_its_defaults() -> None:
    schema = of(Record)
    assert schema["title"] == "Title"
    assert schema["required"] == ["value"]
    assert schema["properties"]["count"]["default"] == 2
    assert schema["properties"]["many"]["default"] == []


def test_any_annotated_class_and_a_bare_type() -> None:
    assert of(Loose)["required"] == ["value"]
    assert of(list[int]) == {"items": {"type": "integer"}, "title": "Title", "type": "array"}


def test_a_compiled_graph_tells_its_schemas() -> None:
    builder: Any = StateGraph(State, output_schema=Model, context_schema=Record)
    graph = builder.add_node("n", lambda state: None).add_edge(START, "n").compile(name="Shop")
    assert graph.get_input_jsonschema()["title"] == "State"
    assert graph.get_output_jsonschema()["title"] == "Model"
    assert graph.get_context_jsonschema()["title"] == "Record"


class Part(TypingDict):
    """A part."""

    size: int


class Old(TypingDict, total=False):
    part: Required[Part]
    parts: list[Part]
    many: dict[str, Part | None]
    noted: Annotated[Part, "note"]
    word: Literal["a"]


def test_every_kind_of_typed_dict_is_read_on_every_python() -> None:
    """Before 3.12 pydantic takes typing_extensions' alone, also inside of others."""
    graph: Any = StateGraph(Old, context_schema=Old).add_node("n", lambda state: None).add_edge(START, "n").compile()
    for schema in (graph.get_input_jsonschema(), graph.get_output_jsonschema(), graph.get_context_jsonschema()):
        assert (schema["title"], schema["required"]) == ("Old", ["part"])
        assert schema["$defs"]["Part"]["description"] == "A part."
        assert schema["$defs"]["Part"]["required"] == ["size"]
        properties = schema["properties"]
        assert properties["parts"]["items"] == properties["noted"] == {"$ref": "#/$defs/Part"}
        assert properties["many"]["additionalProperties"]["anyOf"][0] == {"$ref": "#/$defs/Part"}
        assert properties["word"]["const"] == "a"
    assert Pregel.get_input_jsonschema(graph)["$defs"]["Part"]["properties"] == {
        "size": {"title": "Size", "type": "integer"}
    }


class Tree(TypingDict, total=False):
    name: Required[str]
    kids: list[Tree]
    by: dict[str, Tree | None]


def test_a_typed_dict_that_mentions_itself() -> None:
    for found in (json_schema(Tree, {}, "tree"), context_schema(Tree) or {}):
        tree = found["$defs"]["Tree"]
        assert (found["$ref"], tree["required"]) == ("#/$defs/Tree", ["name"])
        assert tree["properties"]["kids"]["items"] == {"$ref": "#/$defs/Tree"}
        assert {"$ref": "#/$defs/Tree"} in tree["properties"]["by"]["additionalProperties"]["anyOf"]


def test_a_context_must_be_a_record() -> None:
    assert context_schema(None) is None
    assert context_schema(Model)["title"] == "Model"  # type: ignore[index]
    with pytest.raises(ValueError, match="Invalid context schema type"):
        context_schema(int)
