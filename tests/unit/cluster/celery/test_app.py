"""What is asked of Celery's and billiard's own parts; workers as such are tested with a real server."""

from __future__ import annotations

import time
from typing import Any

import billiard.pool
import pytest

from distgraph.cluster.celery.app import let_children_go

pytestmark = pytest.mark.unit


class Told:
    """A process of a pool that has said something its parent never reads."""

    on_ready_counter = type("Counter", (), {"value": 0})


def test_a_process_that_is_to_end_does_not_wait_for_a_parent_that_reads_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit = "GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT"
    monkeypatch.setattr(billiard.pool, limit, getattr(billiard.pool, limit))
    let_children_go()
    waiting: Any = billiard.pool.Worker._ensure_messages_consumed
    began = time.monotonic()
    assert waiting(Told(), completed=1) is False
    assert time.monotonic() - began < 5, "billiard looks elsewhere for how long to wait"
