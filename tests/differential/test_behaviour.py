"""The table of behaviour is kept: whatever shows a line is there, and every section has lines."""

from __future__ import annotations

import ast
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from tests.differential.behaviour import TABLE, Line, lines
from tests.differential.checklist import CHECKLIST
from tests.differential.test_programs import MODULES, programs

pytestmark = pytest.mark.differential

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = ["0", *(f"1.{number}" for number in range(1, 22)), "6"]
LINES = lines()


@cache
def page() -> str:
    """The page of differences: rows and sentences, each on a line of its own."""
    text = (ROOT / "ops/docs/differences.md").read_text()
    rows = [row for row in text.split("\n") if row.startswith(("|", "*"))]
    sentences = " ".join(row for row in text.split("\n") if not row.startswith("|")).split(". ")
    return "\n".join(part.strip("|* ") for part in [*rows, *sentences])


@cache
def names_in(path: Path) -> set[str]:
    """The tests of a file."""
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@cache
def cases() -> set[str]:
    """The numbers of the bad inputs that are tried."""
    tree = ast.parse((ROOT / "tests/acceptance/test_bad_inputs.py").read_text())
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text.split(" ")[0] for text in texts if text[:1].isdigit()}


def is_there(reference: str) -> bool:
    if reference.startswith("page "):
        return any(part.startswith(reference.removeprefix("page ")) for part in page().split("\n"))
    if reference.startswith("bad "):
        return reference.removeprefix("bad ") in cases()
    if "::" in reference:
        path, name = reference.split("::")
        return (ROOT / "tests" / path).is_file() and name in names_in(ROOT / "tests" / path)
    module, name = reference.split(".")
    return name in {case.values[0].__name__ for case in programs(import_module(f"tests.differential.{module}"))}


@pytest.mark.parametrize("line", LINES, ids=[f"{line.section} {line.says}" for line in LINES])
def test_what_shows_a_line_is_there(line: Line) -> None:
    assert line.shown_by
    assert [reference for reference in line.shown_by if not is_there(reference)] == []


def test_every_section_has_lines() -> None:
    assert list(TABLE) == SECTIONS
    assert len(LINES) > 150


def test_the_list_of_twenty_is_complete() -> None:
    assert [int(says.split(" ")[0]) for says in CHECKLIST] == list(range(1, 21))


def test_every_program_is_in_a_module_that_is_run() -> None:
    files = [path for path in Path(__file__).parent.glob("*.py") if not path.name.startswith("test_")]
    found = {path.stem for path in files if "(api: Api)" in path.read_text()}
    assert {module.__name__.rpartition(".")[2] for module in MODULES} == found
