"""How replies become text, records and answers."""

from __future__ import annotations

import pytest

from distgraph.ledger.reads import answer_of, record_of, text
from distgraph.ledger.replies import Answer

pytestmark = pytest.mark.unit


def test_a_reply_as_text() -> None:
    assert (text(b"\xc3\xbc"), text("x"), text(5)) == ("ü", "x", "5")


def test_a_record_keeps_its_values_as_bytes() -> None:
    """From a script a hash comes as a flat list, from a command as a mapping."""
    wanted = {"status": b"running", "output": b"\x00\xff"}
    assert record_of([b"status", b"running", b"output", b"\x00\xff"]) == wanted
    assert record_of({b"status": b"running", b"output": b"\x00\xff"}) == wanted
    assert record_of([]) == {}


def test_a_torn_record_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="zip"):
        record_of([b"status"])


def test_an_answer_may_have_a_reason() -> None:
    assert answer_of([b"ok"]) == Answer("ok")
    assert answer_of([b"stale", b"epoch"]) == Answer("stale", "epoch")
    assert answer_of([b"quarantined", 3]) == Answer("quarantined", "3")
