"""Which records of runs can be ones that distgraph wrote."""

from __future__ import annotations

import pytest

from distgraph.errors import LedgerCorruptError
from distgraph.ledger.soundness import check_record

pytestmark = pytest.mark.unit

SOUND = {
    "epoch": b"1",
    "plan": b"0",
    "x": b"0",
    "stop": b"25",
    "status": b"running",
    "fp": b"ab12",
    "input": b"\xff\x00",
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"ends": b"99999999999999", "step_limit": b"1000"},
        {"stop": str(2**63).encode()},
        {"why": "beendet: ähm".encode()},
        {"\udcff": b"\xff"},
    ],
)
def test_what_distgraph_writes_is_sound(more: dict[str, bytes]) -> None:
    check_record("r", {})
    check_record("r", {**SOUND, **more})


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1e9", b"1.0", b" 1", b"x", b"nan", b"\xb2", b"9" * 41])
@pytest.mark.parametrize("field", ["epoch", "plan", "x", "stop", "ends", "wake"])
def test_a_number_that_is_none_is_named(field: str, value: bytes) -> None:
    with pytest.raises(LedgerCorruptError, match=f"record of run 'r' is damaged: its field '{field}' is b'"):
        check_record("r", {**SOUND, field: value})


@pytest.mark.parametrize("field", ["status", "graph", "fp", "base", "why", "late"])
def test_a_text_that_is_none_is_named(field: str) -> None:
    with pytest.raises(LedgerCorruptError, match=f"its field '{field}'"):
        check_record("r", {**SOUND, field: b"\xff\xfe"})
