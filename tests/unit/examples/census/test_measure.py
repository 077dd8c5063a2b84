"""Measures of definitions, taken from their lines alone."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from distgraph.examples.census import analyse, corpus
from distgraph.examples.census.measure import count, measure
from distgraph.examples.census.model import Facts

pytestmark = pytest.mark.unit


def facts(text: str) -> dict[str, Facts]:
    text = dedent(text)
    outline = analyse.outline(analyse.parse(text), text, "m", package=False)
    return measure(text.split("\n"), outline["definitions"])


@pytest.mark.parametrize(
    ("body", "complexity"),
    [
        ("pass", 1),
        ("if a: b", 2),
        ("if a: b\n elif c: d\n else: e", 3),
        ("return a and b or c", 3),
        ("return a if b else c", 2),
        ("for a in b: pass", 2),
        ("while a: pass", 2),
        ("return [a for a in b if c if d]", 4),
        ("try: a\n except B: c\n except D: e", 3),
        ("with a: b", 1),
        ("match a:\n  case 1: b\n  case _: c", 3),
        ("return lambda: a or b", 2),
        ("def g():\n  if a: b", 1),
    ],
)
def test_complexity_is_one_more_than_the_decisions(body: str, complexity: int) -> None:
    (function,) = ast.parse(f"def f():\n {body}").body
    assert isinstance(function, ast.FunctionDef)
    assert count(function).complexity == complexity


def test_elif_is_as_deep_as_its_if_and_else_if_is_deeper() -> None:
    assert facts("def f():\n if a: b\n elif c: d")["f:1"]["depth"] == 1
    assert facts("def f():\n if a: b\n else:\n  if c: d")["f:1"]["depth"] == 2
    assert facts("def f():\n for a in b:\n  with c:\n   d")["f:1"]["depth"] == 2


def test_facts_of_a_class_and_its_methods() -> None:
    seen = facts(
        '''\
        class Good(Base):
            """Doc."""
            x = 1
            @property
            def name(self, /, a, *b, c=1, **d):
                """Doc."""
                def inner(): ...
                return a
            def __init__(self): pass
            def camelCase(self): pass
        '''
    )
    assert list(sorted(seen)) == ["Good.__init__:9", "Good.camelCase:10", "Good.name.inner:7", "Good.name:5", "Good:1"]
    good, name, inner = seen["Good:1"], seen["Good.name:5"], seen["Good.name.inner:7"]
    assert good == {
        "kind": "class",
        "line": 1,
        "lines": 10,
        "statements": 5,
        "complexity": 0,
        "depth": 0,
        "parameters": 0,
        "public": True,
        "documented": True,
        "well_named": True,
    }
    assert (name["kind"], name["parameters"], name["statements"], name["documented"]) == ("method", 5, 3, True)
    assert (inner["kind"], inner["public"]) == ("function", False)
    assert seen["Good.__init__:9"]["public"] is False
    assert seen["Good.camelCase:10"]["well_named"] is False


def test_a_name_defined_twice_is_measured_twice() -> None:
    seen = facts("if a:\n    def f(): pass\nelse:\n    def f(x): pass\n")
    assert {where: fact["parameters"] for where, fact in seen.items()} == {"f:2": 0, "f:4": 1}


def test_an_indented_definition_keeps_strings_that_reach_the_margin() -> None:
    text = "if a:\n    def f():\n        return '''\nmargin\n'''\n"
    assert facts(text)["f:2"]["lines"] == 4


@pytest.mark.parametrize("item", corpus.items(25), ids=lambda item: str(item["module"]))
def test_portions_alone_say_what_the_whole_file_says(item: dict[str, str]) -> None:
    """Every function and class of a real module is found, at its real line, with its real measures."""
    text = corpus.read(item["path"])
    tree = analyse.parse(text)
    outline = analyse.outline(tree, text, item["module"], package=False)
    seen = measure(text.split("\n"), outline["definitions"])
    real = {
        (node.name, node.lineno): count(node).statements
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    assert {
        (where.rpartition(":")[0].rpartition(".")[2], fact["line"]): fact["statements"] for where, fact in seen.items()
    } == real
