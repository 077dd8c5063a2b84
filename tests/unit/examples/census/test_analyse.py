"""One look at a whole module."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import pytest

from distgraph.examples.census import analyse
from distgraph.examples.census.model import Definition, Outline

pytestmark = pytest.mark.unit


def outline(text: str, module: str = "pkg.mod", *, package: bool = False) -> Outline:
    text = dedent(text)
    return analyse.outline(analyse.parse(text), text, module, package=package)


def test_lines_of_code_are_neither_blank_nor_comments() -> None:
    seen = outline('"""Doc."""\n\n# why\nx = 1  # what\n')
    assert (seen["lines"], seen["code_lines"], seen["documented"]) == (5, 2, True)


def test_definitions_are_those_of_the_modules_own_scope() -> None:
    seen = outline(
        """\
        @decorator
        def first():
            def inner(): ...

        try:
            class Second: ...
        except ImportError:
            async def third():
                pass
        """
    )
    assert seen["definitions"] == [
        {"name": "first", "start": 1, "end": 3},
        {"name": "Second", "start": 6, "end": 6},
        {"name": "third", "start": 8, "end": 9},
    ]


def test_an_import_is_lazy_where_it_does_not_run_at_import_time() -> None:
    seen = outline(
        """\
        import os.path, sys
        if sys: import json
        def f():
            import sys, csv
        class C:
            import re
        if __name__ == "__main__":
            import doctest
        """
    )
    lazy = {entry["module"]: entry["lazy"] for entry in seen["imports"]}
    assert lazy == {
        "os.path": False,
        "sys": False,
        "json": False,
        "csv": True,
        "re": False,
        "doctest": True,
    }


@pytest.mark.parametrize(
    ("statement", "package", "target"),
    [
        ("from . import x", False, "pkg.x"),
        ("from .x import y", False, "pkg.x"),
        ("from .. import x", False, "x"),
        ("from . import x", True, "pkg.mod.x"),
        ("from .x import y", True, "pkg.mod.x"),
        ("from a.b import c", False, "a.b"),
    ],
)
def test_relative_imports_are_resolved(statement: str, package: bool, target: str) -> None:
    assert outline(statement, package=package)["imports"] == [{"module": target, "lazy": False}]


def test_an_unused_import_is_one_whose_name_never_comes_again() -> None:
    text = """\
    from __future__ import annotations
    import a, b.c, d as e, f, g
    from h import *
    __all__ = ["f"]
    b.c()
    x: "g" = 1
    """
    assert outline(text)["unused"] == ["a", "e"]
    assert outline(text, package=True)["unused"] == []


@pytest.mark.parametrize("text", ["def f(:", "x = '\0'", "return return", "-" * 100_000 + "1"])
def test_broken_source_says_why_in_few_words(text: str) -> None:
    with pytest.raises(analyse.BrokenSourceError) as error:
        analyse.parse(text)
    assert 0 < len(str(error.value)) < 120


class Cycle:
    """Garbage that gives way to other OS threads when it is collected."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        time.sleep(0)


def test_several_threads_may_parse_at_once() -> None:
    """Interpreters older than 3.11.9 and 3.12.3 count parsing depth once for all OS threads.

    Where the collector runs in the middle of a parse and another thread parses meanwhile, they raise SystemError; the
    garbage here makes that nearly certain without the guard.
    """
    text = "\n".join(f"def f{index}(a, b=[1, 2, (3, 4)]):\n    return [a for a in b if a]" for index in range(200))

    def parse(_: int) -> int:
        for _ in range(20):
            Cycle()
        return len(analyse.tree_of(text).body)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(parse, range(8))) == {200}


def definitions(*lengths: int) -> list[Definition]:
    ends = [sum(lengths[: index + 1]) for index in range(len(lengths))]
    return [
        {"name": str(end), "start": end - length + 1, "end": end} for end, length in zip(ends, lengths, strict=True)
    ]


def test_few_definitions_are_one_portion_each() -> None:
    few = definitions(3, 100, 1)
    assert analyse.portions(few, 3) == [[few[0]], [few[1]], [few[2]]]
    assert analyse.portions([], 3) == []


@pytest.mark.parametrize("lengths", [[1] * 100, [1000, *[1] * 50], [*[1] * 50, 1000], list(range(1, 60))])
def test_many_definitions_share_portions_and_none_is_lost(lengths: list[int]) -> None:
    many = definitions(*lengths)
    portions = analyse.portions(many, 24)
    assert [definition for portion in portions for definition in portion] == many
    assert len(portions) <= 24
    assert all(portions)


def test_portions_are_about_equally_long() -> None:
    portions = analyse.portions(definitions(*[1] * 240), 24)
    assert [len(portion) for portion in portions] == [10] * 24
