"""``distgraph draw``: what is drawn, and where to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Call

CHAIN = "distgraph.examples.chain:graph"


def test_text_is_the_default(call: Call) -> None:
    assert call("draw", CHAIN).out.startswith("__start__ --> ")


def test_mermaid(call: Call) -> None:
    assert "graph TD" in call("draw", CHAIN, "--as", "mermaid").out


def test_json(call: Call) -> None:
    drawn = call("draw", CHAIN, "--json").json
    assert drawn["nodes"][0]["id"] == "__start__"
    assert {"source": "__start__", "target": drawn["nodes"][1]["id"]} in drawn["edges"]


@pytest.mark.parametrize(("name", "start"), [("g.svg", b"<svg"), ("g.png", b"\x89PNG"), ("g.mmd", b"---")])
def test_the_ending_of_the_file_tells_what(call: Call, tmp_path: Path, name: str, start: bytes) -> None:
    answer = call("draw", CHAIN, "--out", str(tmp_path / name))
    assert (answer.code, answer.out) == (0, "")
    assert f"Drawn to {tmp_path / name}." in answer.err
    assert (tmp_path / name).read_bytes().startswith(start)


def test_what_is_not_clear_is_said(call: Call, tmp_path: Path) -> None:
    assert "name a file with --out" in call("draw", CHAIN, "--as", "png").err
    assert "'.gif'" in call("draw", CHAIN, "--out", str(tmp_path / "g.gif")).err
    assert call("draw", CHAIN, "--as", "svg", "--json").code == 2
    assert not [*tmp_path.iterdir()]
