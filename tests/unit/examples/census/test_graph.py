"""What one module goes through, on a small library and on the real one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distgraph.examples.census import corpus
from distgraph.examples.census.graph import METRICS, WIDEST, graph
from distgraph.examples.census.hotspots import ROUNDS
from distgraph.examples.census.model import Summary
from distgraph.examples.census.report import findings

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library of one's own."""
    monkeypatch.setattr(corpus, "library", lambda: tmp_path)
    return tmp_path


def travel(folder: Path, path: str, text: str) -> tuple[Summary, list[str]]:
    """The result row of a file with this text, and the nodes it went through, one entry for every update."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)
    item: Any = {"module": path.partition(".")[0], "path": path}
    nodes = [node for chunk in graph.stream(item, stream_mode="updates") for node in chunk]
    return graph.invoke(item)["summary"], nodes


def test_a_module_is_measured_definition_by_definition(folder: Path) -> None:
    row, nodes = travel(folder, "m.py", "import os\ndef f(): pass\ndef g(): pass\nclass C:\n    def h(self): pass\n")
    assert nodes[:2] == ["parse", "look_at_module"]
    assert nodes.count("measure") == 3
    assert sorted(nodes[5:9]) == sorted(METRICS)
    assert nodes[9:] == ["join", "refine", "conclude"]
    assert (row["kind"], row["planned"], row["measured"]) == ("module", 3, 3)
    assert row["scores"]["size"]["functions"] == 3
    assert (row["imports"], row["unused"]) == (["os"], ["os"])
    assert sorted(spot["where"] for spot in row["hotspots"]) == ["C.h", "f", "g"]


def test_a_package_takes_a_way_of_its_own(folder: Path) -> None:
    row, nodes = travel(folder, "p/__init__.py", "from .a import x\nfrom .b import y\ndef f(): pass\n")
    assert "look_at_package" in nodes
    assert "look_at_module" not in nodes
    assert row["kind"] == "package"
    assert row["unused"] == []


def test_a_module_without_definitions_skips_the_fan_out(folder: Path) -> None:
    row, nodes = travel(folder, "data.py", "TABLE = {1: 2}\n")
    assert "measure" not in nodes
    assert row["scores"]["module"]["data"] == 1
    assert row["scores"]["size"]["lines"] == 2


def test_a_broken_module_goes_straight_to_its_row(folder: Path) -> None:
    row, nodes = travel(folder, "m.py", "def f(:\n")
    assert nodes == ["parse", "note_broken", "conclude"]
    assert row["kind"] == "broken"
    assert row["problem"].startswith("line 1")


def test_a_missing_file_is_a_finding_not_a_failure(folder: Path) -> None:
    assert graph.invoke({"module": "m", "path": "gone.py"})["summary"]["problem"] == "missing"


def test_a_very_wide_module_is_cut_into_few_portions(folder: Path) -> None:
    row, nodes = travel(folder, "m.py", "\n".join(f"def f{index}(): pass" for index in range(100)))
    assert nodes.count("measure") == WIDEST
    assert row["planned"] == row["measured"] == 100


def test_the_search_goes_round_until_it_is_settled(folder: Path) -> None:
    functions = [f"def f{size}():\n" + "    x = 1\n" * size for size in range(1, 40)]
    row, nodes = travel(folder, "m.py", "\n".join(functions))
    assert 1 < nodes.count("refine") == row["rounds"] <= ROUNDS
    assert [spot["where"] for spot in row["hotspots"]][:3] == ["f39", "f38", "f37"]


def run(items: list[Any]) -> Iterator[Summary]:
    return (graph.invoke(item)["summary"] for item in items)


def test_a_census_says_the_same_in_whatever_order_its_items_are_counted() -> None:
    """Real modules, once in order and once shuffled: the same totals, the same tables, the same digest."""
    items = corpus.items(12)
    expected = findings(run(items))
    assert (expected.modules, expected.broken, expected.unaccounted) == (12, 0, 0)
    random.Random(7).shuffle(items)
    assert findings(run(items)) == expected
