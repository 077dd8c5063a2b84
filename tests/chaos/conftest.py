"""Servers and workers that get killed: each test has its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.autopsy import pytest_runtest_makereport as pytest_runtest_makereport
from tests.autopsy import seen_when_it_fails as seen_when_it_fails

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def needs_a_server(server_binary: str, seen_when_it_fails: None) -> None:
    """Skipped at home, failed in CI, where no server can be started."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that may take longest begin first: else one process of the floor may be left with one when the other is done."""
    mine = [item for item in items if item.path.is_relative_to(HERE)]
    others = [item for item in items if not item.path.is_relative_to(HERE)]
    items[:] = [*sorted(mine, key=_may_take, reverse=True), *others]


def _may_take(item: pytest.Item) -> float:
    """Seconds."""
    limit = item.get_closest_marker("timeout")
    return float(limit.args[0]) if limit is not None else 0.0
