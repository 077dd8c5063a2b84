"""What callers pass as context, against its schema."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from distgraph import START, StateGraph
from distgraph.errors import ConfigError
from distgraph.graph.contexts import shape_context

pytestmark = pytest.mark.unit


@dataclass
class Plain:
    language: str
    depth: int = 1


@dataclass
class WithInit:
    language: str
    scale: InitVar[int] = 1


class Model(BaseModel):
    language: str
    depth: int = Field(default=1, alias="Depth")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    language: str


class Renamed(BaseModel):
    language: str = Field(validation_alias="lang")


class Typed(TypedDict, total=False):
    language: str


class Anything:
    pass


@pytest.mark.parametrize(
    ("schema", "given", "made"),
    [
        (Plain, {"language": "de"}, Plain("de")),
        (WithInit, {"language": "de", "scale": 2}, WithInit("de", 2)),
        (Model, {"language": "de", "Depth": 2}, Model(language="de", Depth=2)),
        (Open, {"language": "de", "more": 1}, Open.model_validate({"language": "de", "more": 1})),
        (Renamed, {"lang": "de"}, Renamed(lang="de")),
        (Typed, {"language": "de"}, {"language": "de"}),
        (Anything, {"x": 1}, {"x": 1}),
        (dict, {"x": 1}, {"x": 1}),
        (None, {"x": 1}, {"x": 1}),
        (Plain, None, None),
        (Plain, Plain("en"), Plain("en")),
    ],
)
def test_a_dict_becomes_an_instance_where_there_are_instances(schema: Any, given: Any, made: Any) -> None:
    assert shape_context(schema, given, "g") == made


@pytest.mark.parametrize("schema", [Plain, WithInit, Model, Typed])
def test_a_misspelt_field_is_an_error_with_a_suggestion(schema: Any) -> None:
    """Of a model and a TypedDict too, which would drop it, or keep it for nobody."""
    for kind in (ConfigError, TypeError):
        with pytest.raises(kind, match=f"'g' .{schema.__name__}. has no field 'langage'. Did you mean 'language'"):
            shape_context(schema, {"langage": "de"}, "g")


def test_a_field_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="not complete: .*'language'"):
        shape_context(Plain, {"depth": 2}, "g")
    with pytest.raises(ValidationError, match="language"):
        shape_context(Model, {}, "g")


def test_calls_of_a_graph_say_so() -> None:
    builder = StateGraph(Typed, context_schema=Plain).add_node("a", lambda state: None).add_edge(START, "a")
    with pytest.raises(ConfigError, match="Did you mean 'language'"):
        builder.compile().invoke({}, context={"langage": "de"})
