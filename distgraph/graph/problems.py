"""What can be wrong with a graph: a problem, the place it was declared at, and the error that reports many at once."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from types import CodeType
from typing import Literal, NamedTuple

from distgraph.errors import GraphValidationError

Severity = Literal["error", "lint"]


class Place(NamedTuple):
    """Where a part of a graph was declared. Taking it is cheap; the line is worked out when somebody reads it."""

    code: CodeType
    instruction: int

    @property
    def filename(self) -> str:
        """The source file's path as Python knows it."""
        return self.code.co_filename

    @property
    def line(self) -> int:
        """The line, from 1."""
        found = self.code.co_firstlineno
        for start, end, line in self.code.co_lines():
            if line is not None and start <= self.instruction < end:
                found = line
        return found

    def __str__(self) -> str:
        return f"{self.filename}:{self.line}"


def caller(room: str) -> Place:
    """The nearest place in the call stack outside the module file ``room``."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename == room and frame.f_back is not None:
        frame = frame.f_back
    return Place(frame.f_code, frame.f_lasti)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or probably not as meant.

    Attributes:
        code: short stable name, as in the documentation.
        text: what is wrong, where and why.
        fix: what to do about it.
        place: where the part was declared, if it was.
        severity: "error" refuses the graph; "lint" warns, and refuses it with ``strict=True``.
    """

    code: str
    text: str
    fix: str = ""
    place: Place | None = None
    severity: Severity = "error"

    def __str__(self) -> str:
        where = f" ({self.place})" if self.place is not None else ""
        fix = f" {self.fix}" if self.fix else ""
        return f"{self.code}: {self.text}{where}{fix}"


def lint(code: str, text: str, fix: str = "", place: Place | None = None) -> Problem:
    """A problem that warns."""
    return Problem(code, text, fix, place, "lint")


class MissingActionError(GraphValidationError, RuntimeError):
    """A node was named without being given something to call; a RuntimeError too, as the peer raises."""


class WrongTypeError(GraphValidationError, TypeError):
    """A schema that is no type, an action that is not callable; a TypeError too, as the peer raises."""


class UnknownNameError(GraphValidationError, NameError):
    """An annotation with a name that nobody knows; a NameError too, as the peer raises."""


def some(names: Iterable[object], limit: int = 8) -> str:
    """A few names for a message."""
    listed = sorted(map(str, names))
    return ", ".join(map(repr, listed[:limit])) + (f" and {len(listed) - limit} more" if len(listed) > limit else "")


def refusal(
    *problems: Problem, what: str = "The graph", kind: type[GraphValidationError] = GraphValidationError
) -> GraphValidationError:
    """The error that reports ``problems``, in their order."""
    if len(problems) == 1:
        return kind(str(problems[0]), problems)
    lines = "".join(f"\n  {number}. {problem}" for number, problem in enumerate(problems, 1))
    return kind(f"{what} has {len(problems)} problems:{lines}", problems)
