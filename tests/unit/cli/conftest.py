"""What tests of commands share: a cluster in memory, and a way to call the command line on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result

from distgraph.cli.app import app
from distgraph.cli.session import Session
from tests.unit.cli.fakes import FakeCluster


@dataclass(frozen=True)
class Answer:
    """What a call wrote, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document it must be."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        """The error in the JSON document."""
        return cast("dict[str, str]", self.json["error"])


Call = Callable[..., Answer]


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def call(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run ``distgraph WORDS`` against the cluster in memory."""
    # Tables as wide as their content, and no terminal.
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str, stdin: bytes | None = None, **session: Any) -> Answer:
        options: dict[str, Any] = {
            "connect": lambda url, namespace: cluster,
            "workers": lambda url, namespace: [],
            "failing": lambda url, namespace: {},
            **session,
        }
        result: Result = CliRunner().invoke(app, words, obj=Session(**options), input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def items(tmp_path: Path) -> Path:
    """A file of ten items for the graph ``double``."""
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps({"n": number, "id": f"item-{number}"}) + "\n" for number in range(10)))
    return path
