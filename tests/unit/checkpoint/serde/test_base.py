"""Serializers that know only one kind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from distgraph.checkpoint.serde.base import SerializerProtocol, typed

pytestmark = pytest.mark.unit


class Json:
    def dumps(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


def test_the_typed_methods_are_added_where_they_are_missing() -> None:
    serde = typed(Json())
    assert isinstance(serde, SerializerProtocol)
    assert serde.dumps_typed({"a": 1}) == ("dict", b'{"a": 1}')
    assert serde.loads_typed(("dict", b'{"a": 1}')) == {"a": 1}
