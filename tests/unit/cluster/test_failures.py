"""A node's exception on its way: stored as plain data without secrets, and back as itself where it is known."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest

from distgraph.cluster.failures import LIMIT, describe, rebuild, redact
from distgraph.errors import PoisonTaskError, RemoteNodeError

pytestmark = pytest.mark.unit


class OutOfStockError(Exception):
    """A user's own error."""


class PickyError(Exception):
    """Whose constructor takes something else than what is in its args."""

    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")


class LoudError(Exception):
    """Whose constructor must never run while somebody else's data is read."""

    built = 0

    def __init__(self, *args: Any) -> None:
        LoudError.built += 1
        super().__init__(*args)


def raised(exc: BaseException) -> BaseException:
    try:
        raise exc
    except BaseException as caught:
        return caught


class TestRedact:
    @pytest.mark.parametrize(
        ("text", "secret"),
        [
            ("redis://user:hunter2@db:6379/0 refused", "hunter2"),
            ("redis://:hunter2@db refused", "hunter2"),
            ("Authorization: hunter2", "hunter2"),
            ('{"api_key": "hunter2"}', "hunter2"),
            ("password=hunter2 is wrong", "hunter2"),
            ("bearer hunter2", "hunter2"),
            ("the key sk-abcdefghijkl", "abcdefghijkl"),
            ("AKIAABCDEFGH12345678", "ABCDEFGH12345678"),
            ("Authorization: Bearer hunter2", "hunter2"),
            ("{'Authorization': 'Basic hunter2'}", "hunter2"),
            ("DB_SECRET: hunter2", "hunter2"),
            ("the password hunter2", "hunter2"),
            ("redis://hunter2@db refused", "hunter2"),
            ("redis://user:hun@ter2@db refused", "ter2"),
            ("PASSWORD: hunter2", "hunter2"),
            ("the long s of pa\u017f\u017fword: hunter2", "hunter2"),
            ("pa\u017fsword=hunter2", "hunter2"),
            ("x" * (LIMIT - 25) + " redis://u:hunter2@db", "hunter"),
        ],
    )
    def test_what_looks_like_a_credential_is_not_kept(self, text: str, secret: str) -> None:
        assert secret not in redact(text)
        assert "***" in redact(text)

    def test_other_text_stays_as_it_is(self) -> None:
        text = "item 7 of https://shop.example/a?b=c is out of stock"
        assert redact(text) == text

    def test_long_text_is_cut_and_says_so(self) -> None:
        cut = redact("x" * (LIMIT + 1))
        assert len(cut) <= LIMIT
        assert cut.endswith("(shortened)")
        cut = redact("x" * LIMIT + "end", last=True)
        assert len(cut) <= LIMIT
        assert cut.startswith("(shortened)")
        assert cut.endswith("end")

    def test_what_is_cut_in_two_is_not_shown_either(self) -> None:
        secret = "password=" + "hunter2" * 20
        for at in range(0, len(secret) + 60, 7):
            assert "hunter" not in redact("x" * (LIMIT - at) + " " + secret + " " + "y" * LIMIT)
            assert "hunter" not in redact("x" * LIMIT + " " + secret + " " + "y" * (LIMIT - at), last=True)

    @pytest.mark.timeout(5)
    @pytest.mark.parametrize("text", ["x", "//", "a://", "secret", "token=", "authorization ", "a://b:", "sk-"])
    def test_it_takes_no_longer_for_long_text(self, text: str) -> None:
        """Of a picture that a node has in its error, say: nobody stops what works at that."""
        assert len(redact(text * 1_000_000)) <= LIMIT
        assert len(redact(text * 1_000_000, last=True)) <= LIMIT


class TestDescribe:
    def test_a_failure_is_plain_data(self) -> None:
        record = describe(raised(OutOfStockError("no tea", 7)), node="buy")
        assert json.loads(json.dumps(record)) == record
        assert record["type"] == f"{__name__}:OutOfStockError"
        assert (record["message"], record["args"], record["node"]) == ("('no tea', 7)", ["no tea", 7], "buy")
        assert (record["kind"], record["code"]) == ("error", "NODE_FAILED")
        assert "raise exc" in record["traceback"]

    def test_secrets_are_in_no_part_of_it(self) -> None:
        exc = OutOfStockError("password=hunter2")
        exc.add_note("token=hunter2")
        assert "hunter2" not in json.dumps(describe(raised(exc)))

    def test_an_error_of_distgraph_tells_its_code(self) -> None:
        assert describe(PoisonTaskError("died"))["code"] == PoisonTaskError.code

    def test_arguments_that_are_no_plain_data_are_left_out(self) -> None:
        assert describe(OutOfStockError(object()))["args"] is None

    def test_an_error_that_cannot_be_printed_is_still_told(self) -> None:
        class Mute(Exception):
            def __str__(self) -> str:
                raise ValueError

        assert describe(Mute())["message"] == "<Mute whose text cannot be made>"


class TestRebuild:
    def test_a_type_that_is_loaded_here_comes_back_as_itself(self) -> None:
        exc = rebuild(describe(raised(OutOfStockError("no tea", 7))))
        assert type(exc) is OutOfStockError
        assert exc.args == ("no tea", 7)
        assert "On the worker:" in exc.__notes__[-1]

    def test_notes_come_along(self) -> None:
        exc = OutOfStockError("no tea")
        exc.add_note("ask again on monday")
        assert "ask again on monday" in rebuild(describe(exc)).__notes__

    def test_nothing_is_imported(self) -> None:
        """A stored record names a module that is not loaded: it stays so."""
        assert "antigravity" not in sys.modules
        exc = rebuild({"type": "antigravity:Fly", "message": "up", "args": ["up"], "traceback": "there"})
        assert "antigravity" not in sys.modules
        assert isinstance(exc, RemoteNodeError)
        assert str(exc) == "Fly: up"

    @pytest.mark.parametrize(
        "name", ["builtins:eval", "time:sleep", "builtins:KeyboardInterrupt", "builtins:nothing", ""]
    )
    def test_only_classes_of_errors_are_built(self, name: str) -> None:
        began = time.monotonic()
        exc = rebuild({"type": name, "message": "60", "args": [60]})
        assert isinstance(exc, RemoteNodeError)
        assert time.monotonic() - began < 10

    def test_no_constructor_of_the_users_runs(self) -> None:
        before = LoudError.built
        exc = rebuild({"type": f"{__name__}:LoudError", "message": "hey", "args": ["hey"]})
        assert type(exc) is LoudError
        assert LoudError.built == before

    def test_an_error_that_would_come_back_as_another_comes_as_text(self) -> None:
        record = describe(raised(OutOfStockError("password=hunter2")))
        record["args"] = ["something else"]
        assert isinstance(rebuild(record), RemoteNodeError)

    def test_an_unusual_constructor_does_no_harm(self) -> None:
        exc = rebuild(describe(raised(PickyError(code=4))))
        assert type(exc) is PickyError
        assert str(exc) == "code 4"

    def test_an_empty_record_is_still_an_error(self) -> None:
        assert isinstance(rebuild({}), RemoteNodeError)
