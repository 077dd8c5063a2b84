"""The tree of errors."""

from __future__ import annotations

import inspect
import re

import pytest

from distgraph import errors
from distgraph.errors import (
    DistgraphError,
    GraphBubbleUp,
    GraphDrained,
    GraphInterrupt,
    NodeError,
    NodeTimeoutError,
    ParentCommand,
    invalid_resume_of,
    is_invalid_resume,
    mark_invalid_resume,
)
from distgraph.types import Command, Interrupt

pytestmark = pytest.mark.unit

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if cls.__module__ == errors.__name__]
TREE = [cls for cls in CLASSES if issubclass(cls, DistgraphError)]


def test_every_error_has_a_code_of_its_own() -> None:
    """Codes are documented and stable; two classes with one code cannot be told apart in a log."""
    codes = [cls.code for cls in TREE]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", code) for code in codes)


def test_every_class_says_what_it_means() -> None:
    assert [cls.__name__ for cls in CLASSES if not (cls.__doc__ or "").strip()] == []


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("GraphValidationError", ValueError),
        ("ConfigError", ValueError),
        ("InvalidUpdateError", ValueError),
        ("EmptyInputError", ValueError),
        ("UnknownInterruptError", RuntimeError),
        ("GraphRecursionError", RecursionError),
        ("StepTimeoutError", TimeoutError),
        ("WaitTimeoutError", TimeoutError),
        ("RunNotFoundError", LookupError),
        ("CodecError", TypeError),
        ("ServerUnreachableError", ConnectionError),
    ],
)
def test_errors_are_caught_by_the_builtin_that_programs_expect(name: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), builtin)


@pytest.mark.parametrize("cls", [GraphBubbleUp, GraphInterrupt, ParentCommand, GraphDrained])
def test_control_flow_stands_outside_the_tree(cls: type[Exception]) -> None:
    """So that ``except DistgraphError`` never swallows a question."""
    assert issubclass(cls, GraphBubbleUp)
    assert not issubclass(cls, DistgraphError)


def test_control_flow_carries_its_cargo() -> None:
    question = Interrupt("?", "i")
    assert GraphInterrupt([question]).interrupts == (question,)
    assert GraphInterrupt().interrupts == ()
    command: Command[str] = Command(goto="a")
    assert ParentCommand(command).args == (command,)
    assert (GraphDrained("deploy").reason, str(GraphDrained("deploy"))) == ("deploy", "Graph drained: deploy")


def test_errors_about_nodes_name_them() -> None:
    timeout = NodeTimeoutError("slow", 1.6, kind="idle", idle_timeout=1.5)
    assert (timeout.node, timeout.timeout, timeout.kind, timeout.idle_timeout) == ("slow", 1.5, "idle", 1.5)
    assert str(timeout).startswith(
        "Node 'slow' exceeded its idle timeout of 1.500s without making progress (elapsed: 1.600s)."
    )
    error = ValueError("no")
    assert (NodeError("a", error).node, NodeError("a", error).error) == ("a", error)


def test_an_answer_that_did_not_fit_is_marked() -> None:
    exc = ValueError()
    assert not is_invalid_resume(exc)
    mark_invalid_resume(exc, 0)
    assert is_invalid_resume(exc)
    assert invalid_resume_of(exc) == 0
