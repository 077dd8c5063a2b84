"""Values that LangGraph stored as JSON before its version 1."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from distgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from distgraph.errors import CodecError
from distgraph.types import Command, Interrupt, Send

pytestmark = pytest.mark.unit


def read(value: Any) -> Any:
    return JsonPlusSerializer().loads_typed(("json", json.dumps(value).encode()))


def made(name: str, *module: str, **kwargs: Any) -> dict[str, Any]:
    path = [*(module or ("langgraph", "types")), name]
    return {"lc": 2, "type": "constructor", "id": path, "kwargs": kwargs}


def test_plain_values_and_those_of_the_graph() -> None:
    assert read({"a": [1, None, "x"], "type": "constructor"}) == {"a": [1, None, "x"], "type": "constructor"}
    assert read({"asked": [made("Interrupt", value="?", id="7")]}) == {"asked": [Interrupt("?", "7")]}
    assert read(made("Send", node="n", arg={"x": made("Send", node="m", arg=1)})) == Send("n", {"x": Send("m", 1)})
    assert read(made("Command", update={"x": 1}, goto=["n"])) == Command(update={"x": 1}, goto=["n"])


def test_a_question_keeps_the_id_that_it_was_shown_with(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xxhash")
    asked = made(
        "Interrupt", value="?", resumable=True, ns=["legacy:test", "with:complex", "name:space"], when="during"
    )
    assert read(asked) == Interrupt("?", "e69356a9ee3630ee7f4f597f2693000c")
    monkeypatch.setitem(sys.modules, "xxhash", None)
    with pytest.raises(ImportError, match="pip install xxhash"):
        read(asked)


@pytest.mark.parametrize(
    "stored",
    [
        made("Interrupt", "elsewhere", "types", value=1),
        made("system", "os", command="true"),
        made("StateSnapshot", values=1),
        {"lc": 2, "type": "constructor", "id": 3},
    ],
)
def test_no_other_class_is_made(stored: Any) -> None:
    with pytest.raises(CodecError, match="only Command, Interrupt, Send are read"):
        read(stored)


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[" * 200_000, json.dumps(made("Send", nonsense=1)).encode()])
def test_what_cannot_be_read(data: bytes) -> None:
    with pytest.raises(CodecError, match="of kind 'json' cannot be read"):
        JsonPlusSerializer().loads_typed(("json", data))
