"""Types of distgraph's own have one name in stored bytes, whoever writes them."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.checkpoint.own import own_types
from distgraph.cluster.registry import codec_for
from distgraph.types import Command, Interrupt, Overwrite, Send, TimeoutPolicy
from distgraph.wire import Codec

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "value",
    [
        Send("node", {"x": 1}),
        Interrupt(value="?", id="0" * 32),
        Overwrite([1]),
        Command(goto="node"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_savers_and_workers_read_each_other(value: Any) -> None:
    saver, worker = Codec(own_types()), codec_for()
    assert saver.encode(value) == worker.encode(value)
    assert worker.decode(saver.encode(value)) == saver.decode(worker.encode(value)) == value


def test_a_send_may_have_a_timeout() -> None:
    send = Send("node", 1, timeout=TimeoutPolicy(run_timeout=3))
    codec = Codec(own_types())
    assert codec.decode(codec.encode(send)) == send
