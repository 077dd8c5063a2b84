"""Servers and workers that get killed: each test has its own."""

from __future__ import annotations

import pytest

from tests.autopsy import pytest_runtest_makereport as pytest_runtest_makereport


@pytest.fixture(autouse=True)
def needs_a_server(server_binary: str) -> None:
    """Skipped at home, failed in CI, where no server can be started."""
