"""``distgraph check``: a graph loaded from the user's own modules, and everything that can be wrong on the way."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Call

Module = Callable[[str], str]

GOOD = """
from typing import TypedDict
from distgraph import END, START, StateGraph

class State(TypedDict):
    n: int

def double(state: State) -> State:
    return {"n": state["n"] * 2}

builder = StateGraph(State)
builder.add_node("double_it", double)
builder.add_edge(START, "double_it")
builder.add_edge("double_it", END)
"""
COMPILED = GOOD + 'graph = builder.compile(name="double")\n'
LINTED = GOOD + 'builder.add_node("lonely", double)\ngraph = builder.compile(name="double")\n'
WRONG = GOOD + 'builder.add_edge("double_it", "tripple")\nbuilder.add_edge("nobody", END)\ngraph = builder.compile()\n'


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Module]:
    """Write a module of that source into the current directory; gives its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != ""])
    made: list[str] = []

    def write(source: str) -> str:
        name = f"module_{uuid.uuid4().hex[:8]}"
        (tmp_path / f"{name}.py").write_text(source)
        made.append(name)
        return name

    yield write
    for name in made:
        sys.modules.pop(name, None)


def test_a_good_graph(call: Call, module: Module) -> None:
    reference = f"{module(COMPILED)}:graph"
    answer = call("check", reference)
    assert (answer.code, answer.out, answer.err) == (0, f"{reference}: no problems.\n", "")
    assert call("check", reference, "--json").json == {"graph": reference, "ok": True, "problems": []}


def test_a_lint_is_shown_and_fails_only_when_strict(call: Call, module: Module) -> None:
    name = module(LINTED)
    answer = call("check", f"{name}:graph")
    assert answer.code == 0
    assert f"{name}.py:15: lint: " in answer.out
    assert "lints fail with --strict" in answer.out
    assert answer.err == ""
    assert call("check", f"{name}:graph", "--strict").code == 1


def test_a_lint_as_json_has_its_place(call: Call, module: Module, tmp_path: Path) -> None:
    name = module(LINTED)
    document = call("check", f"{name}:graph", "--strict", "--json").json
    assert document["ok"] is False
    first = document["problems"][0]
    assert first["severity"] == "lint"
    assert (first["file"], first["line"]) == (str(tmp_path / f"{name}.py"), 15)


def test_all_errors_of_a_graph_that_does_not_compile_are_shown(call: Call, module: Module) -> None:
    name = module(WRONG)
    answer = call("check", f"{name}:graph")
    assert answer.code == 1
    assert "unknown node" in answer.out
    assert "tripple" in answer.out
    assert "nobody" in answer.out
    assert "2 errors" in answer.out
    assert call("check", f"{name}:graph", "--json").json["ok"] is False


@pytest.mark.parametrize(
    "reference",
    ["foo", "foo:", ":bar", "foo:bar:baz", "foo:__import__", "../x:y", "foo:bar()", "foo.:x", "fo o:x", "é:x"],
)
def test_a_reference_of_another_form_is_a_usage_error(call: Call, reference: str) -> None:
    answer = call("check", reference)
    assert answer.code == 2
    assert "package.module:name" in answer.err


def message(call: Call, reference: str) -> str:
    answer = call("check", reference, "--json")
    assert answer.code == 2
    assert answer.error["code"] == "GRAPH_ERROR"
    return answer.error["message"]


def test_a_module_that_is_not_there(call: Call, module: Module) -> None:
    assert "There is no module 'nosuchmodule'" in message(call, "nosuchmodule:graph")
    assert "There is no module 'nosuchmodule'" in message(call, "nosuchmodule.inner:graph")


def test_a_module_that_needs_one_that_is_not_there(call: Call, module: Module) -> None:
    name = module("import nosuchmodule\n")
    text = message(call, f"{name}:graph")
    assert f"Module {name} is there, but importing it fails in {name}.py, line 1" in text
    assert "No module named 'nosuchmodule'" in text


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("x = 1\ny = x / 0\n", 2, "ZeroDivisionError"),
        ("\n\nx = (\n", 3, "SyntaxError: '(' was never closed"),
        ("def f():\n    raise KeyError('k')\nf()\n", 2, "KeyError: 'k'"),
        ("raise SystemExit(3)\n", 1, "SystemExit: 3"),
    ],
)
def test_a_module_that_fails_is_shown_with_the_line(
    call: Call, module: Module, source: str, line: int, words: str
) -> None:
    name = module(source)
    text = message(call, f"{name}:graph")
    assert f"fails in {name}.py, line {line}: " in text
    assert words in text


def test_a_name_that_is_not_there_gets_suggestions(call: Call, module: Module) -> None:
    assert "has no 'grahp'. Did you mean 'graph'?" in message(call, f"{module(COMPILED)}:grahp")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("builder", "is a StateGraph that is not compiled"),
        ("double", "is a function, not a compiled graph. Call it"),
        ("State", "is the class State"),
        ("END", "is a str"),
    ],
)
def test_what_is_no_compiled_graph_is_told_what_it_is(call: Call, module: Module, name: str, words: str) -> None:
    assert words in message(call, f"{module(COMPILED)}:{name}")


def test_what_a_module_prints_does_not_get_into_the_answer(call: Call, module: Module) -> None:
    answer = call("check", f"{module('print(1)' + COMPILED)}:graph", "--json")
    assert answer.json["ok"] is True
    assert answer.err == "1\n"


def test_the_debug_option_shows_where_an_import_fails(call: Call, module: Module) -> None:
    assert "ZeroDivisionError" in call("check", f"{module('1 / 0')}:graph", "--debug").err
