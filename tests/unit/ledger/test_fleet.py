"""The fleet's ledger on a server is held to the contract in tests/conformance/ledger; here is what needs none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from distgraph.errors import ServerUnreachableError
from distgraph.ledger import seam
from distgraph.ledger.connection import connect
from distgraph.ledger.contract import Fleet
from distgraph.ledger.fleet import FleetLedger
from distgraph.ledger.keys import Keys
from distgraph.ledger.scripts import Scripts
from tests.servers import free_port

pytestmark = pytest.mark.unit


def test_it_keeps_the_contract() -> None:
    fleet: Fleet = FleetLedger(Scripts(connect("redis://127.0.0.1:1/0")), Keys("ns"))
    assert fleet.keys.namespace == "ns"


def test_nobody_answers() -> None:
    """What a worker and a client see first when there is no server is one clear error of ours."""
    fleet = FleetLedger(Scripts(connect(f"redis://127.0.0.1:{free_port()}/0")), Keys("ns"))
    with pytest.raises(ServerUnreachableError, match="cannot be reached"):
        fleet.join()


def test_to_serve_nothing_asks_nobody() -> None:
    fleet = FleetLedger(Scripts(connect(f"redis://127.0.0.1:{free_port()}/0")), Keys("ns"))
    fleet.serve({})


class Gate:
    """Notes which points are passed, and lets no call through."""

    def __init__(self) -> None:
        self.passed: list[str] = []

    def reach(self, point: str, moment: str) -> None:
        self.passed.append(point)

    def call(self, points: Sequence[str], send: Callable[[], object]) -> None:
        self.passed.extend(points)


def test_each_point_is_passed_by_the_call_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash is only ever tried where the point really is."""
    gate = Gate()
    monkeypatch.setattr(seam, "nemesis", gate)
    fleet = FleetLedger(Scripts(connect(f"redis://127.0.0.1:{free_port()}/0")), Keys("ns"))
    fleet.beat("boot", {}, ttl_ms=1)
    fleet.leave("boot")
    fleet.serve({("graph", "f"): {}})
    assert gate.passed == ["beat", "leave", "serve"]
    with pytest.raises(ServerUnreachableError):
        fleet.count("anything")
    assert gate.passed == ["beat", "leave", "serve"]
