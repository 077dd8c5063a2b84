"""The values users pass in and get back."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest

from distgraph.types import (
    MISSING,
    CachePolicy,
    Command,
    GraphOutput,
    Interrupt,
    Missing,
    Overwrite,
    RetryPolicy,
    Send,
    TimeoutPolicy,
    default_retry_on,
    interrupt,
)
from distgraph.warnings import LangGraphDeprecatedSinceV11

pytestmark = pytest.mark.unit


def test_missing_is_one_thing_and_says_so() -> None:
    """Where None is a value; also after a copy."""
    assert Missing() is MISSING
    assert copy.deepcopy([MISSING])[0] is MISSING
    assert not MISSING
    assert repr(MISSING) == "MISSING"


def test_sends_are_values() -> None:
    """Equal by content, and hashable whatever they carry."""
    assert Send("a", {"x": [1]}) == Send("a", {"x": [1]})
    assert Send("a", 1) != Send("b", 1)
    assert Send("a", 1) != Send("a", 1, timeout=5)
    assert len({Send("a", {"x": 1}), Send("a", {"x": 1})}) == 1


def test_commands_show_what_they_say() -> None:
    assert repr(Command(update={"a": 1}, goto="b")) == "Command(update={'a': 1}, goto='b')"
    assert repr(Command()) == "Command()"
    assert repr(Send("a", 1)) == "Send(node='a', arg=1)"
    assert Send("a", 1, timeout=2).timeout == TimeoutPolicy(run_timeout=2)
    assert "timeout=TimeoutPolicy(run_timeout=2.0, " in repr(Send("a", 1, timeout=timedelta(seconds=2)))


def test_what_a_command_says_is_said_by_name() -> None:
    with pytest.raises(TypeError):
        Command("a")  # type: ignore[call-arg]


def test_an_overwrite_is_told_by_its_json_too() -> None:
    assert Overwrite([1]).type == "__overwrite__"


class Response:
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


class HttpError(Exception):
    def __init__(self, status_code: int) -> None:
        self.response = Response(status_code)


@pytest.mark.parametrize(
    ("exc", "again"),
    [
        (ConnectionError(), True),
        (ConnectionResetError(), True),
        (HttpError(503), True),
        (HttpError(404), False),
        (Exception("unknown"), True),
        (ValueError(), False),
        (KeyError(), False),
        (ZeroDivisionError(), False),
        (OSError(), False),
        (TimeoutError(), False),
        (RuntimeError(), False),
        (ImportError(), False),
    ],
)
def test_by_default_only_what_may_pass_is_tried_again(exc: Exception, again: bool) -> None:
    assert default_retry_on(exc) is again


@pytest.mark.parametrize(
    "rule", [KeyError, LookupError, (KeyError, OSError), [KeyError], lambda exc: isinstance(exc, KeyError)]
)
def test_a_policy_covers_classes_or_what_a_predicate_says(rule: Any) -> None:
    policy = RetryPolicy(retry_on=rule)
    assert policy.matches(KeyError())
    assert not policy.matches(ZeroDivisionError())


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        (None, None),
        (5, TimeoutPolicy(run_timeout=5.0)),
        (timedelta(minutes=1), TimeoutPolicy(run_timeout=60.0)),
        (TimeoutPolicy(idle_timeout=timedelta(seconds=2)), TimeoutPolicy(idle_timeout=2.0)),
        (TimeoutPolicy(), None),
    ],
)
def test_time_limits_come_in_one_unit(given: Any, policy: TimeoutPolicy | None) -> None:
    assert TimeoutPolicy.coerce(given) == policy


@pytest.mark.parametrize("bad", [0, -1, float("inf"), float("nan"), TimeoutPolicy(refresh_on="never")])  # type: ignore[arg-type]
def test_time_limits_that_make_no_sense_are_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        TimeoutPolicy.coerce(bad)


@pytest.mark.parametrize("bad", ["5", True, [1]])
def test_time_limits_are_numbers(bad: Any) -> None:
    with pytest.raises(TypeError, match="must be seconds or a timedelta"):
        TimeoutPolicy.coerce(bad)


def test_cache_keys_are_equal_for_equal_inputs() -> None:
    key = CachePolicy().key_func
    assert key({"b": 1, "a": {2, 1}}) == key({"a": {1, 2}, "b": 1})
    assert key(1) != key("1")
    assert key(1, x=2) != key(1)


def test_an_output_can_be_read_like_a_dict() -> None:
    """As programs written for the older form do."""
    question = Interrupt("?", "i")
    output = GraphOutput({"n": 1}, (question,))
    with pytest.warns(LangGraphDeprecatedSinceV11, match=r"via `result\[key\]` is deprecated"):
        assert (output["n"], output["__interrupt__"]) == (1, (question,))
    with pytest.warns(LangGraphDeprecatedSinceV11, match="via `key in result` is deprecated"):
        assert "n" in output
        assert "__interrupt__" in output
        assert "__interrupt__" not in GraphOutput({"n": 1})


def test_a_question_outside_a_node_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="only inside a node"):
        interrupt("?")
