"""The codec under the name that savers know."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel

from distgraph.checkpoint.serde.base import SerializerProtocol, typed
from distgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from distgraph.errors import CodecError, UntrustedTypeError
from distgraph.types import Command, Interrupt, Overwrite, Send
from distgraph.wire import Codec

pytestmark = pytest.mark.unit


@dataclass
class Point:
    x: int


class Color(Enum):
    RED = "red"


class Model(BaseModel):
    color: Color
    points: list[Point]


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"a": [1, (2, 3), {4}]},
        Point(1),
        [Color.RED],
        Model(color=Color.RED, points=[Point(2)]),
        Send("node", {"n": Point(3)}),
        [Interrupt("?", "i"), Overwrite(5), Command(update={"a": 1}, goto=["x"])],
    ],
)
def test_values_survive(value: Any) -> None:
    """Built-in kinds, the graph's own values, and types that this process uses."""
    serde = JsonPlusSerializer()
    assert serde.loads_typed(serde.dumps_typed(value)) == value
    assert serde.loads(serde.dumps(value)) == value


def test_a_type_is_read_only_where_it_is_known() -> None:
    """Bytes from elsewhere teach nothing: what another serializer stored is refused until the type is named here."""
    data = JsonPlusSerializer().dumps_typed(Point(1))
    reader = JsonPlusSerializer()
    with pytest.raises(UntrustedTypeError, match="Point"):
        reader.loads_typed(data)
    reader.registry.add(Point)
    assert reader.loads_typed(data) == Point(1)


def test_what_no_codec_knows_is_refused() -> None:
    with pytest.raises(CodecError, match="lock"):
        JsonPlusSerializer().dumps({"a": threading.Lock()})


def test_bytes_of_another_serializer_are_refused() -> None:
    with pytest.raises(CodecError, match="of kind 'pickle', from another serializer"):
        JsonPlusSerializer().loads_typed(("pickle", b"..."))


def test_arguments_that_have_no_meaning_here_are_accepted() -> None:
    assert JsonPlusSerializer(allowed_msgpack_modules=[("x", "y")], pickle_fallback=True).dumps(1)


def test_limits_of_a_given_codec_hold() -> None:
    with pytest.raises(CodecError, match="limit"):
        JsonPlusSerializer(codec=Codec(max_bytes=10)).dumps("x" * 100)


def test_many_threads_may_learn_a_type_at_once() -> None:
    serde, meet, failures = JsonPlusSerializer(), threading.Barrier(8), []

    def work() -> None:
        meet.wait()
        try:
            assert serde.loads(serde.dumps(Point(1))) == Point(1)
        except Exception as exc:
            failures.append(exc)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_serializer_with_typed_methods_is_taken_as_it_is() -> None:
    serde = JsonPlusSerializer()
    assert isinstance(serde, SerializerProtocol)
    assert typed(serde) is serde
