"""Calls that a decision needs, in either colour."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from distgraph.engine.context import RunContext
from distgraph.engine.savers import Calls, adrive, drive
from distgraph.superstep.model import EMPTY, Task
from tests.unit.engine.small import line

pytestmark = pytest.mark.unit


class Recorder:
    """Answers every call with its name, whether it is awaited or not."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def get_tuple(self, config: Any) -> str:
        self.calls.append(config)
        return "found"

    async def aget_tuple(self, config: Any) -> str:
        return self.get_tuple(config)

    def list(self, config: Any, *, filter: Any, before: Any, limit: Any) -> Any:
        self.calls.append((config, filter, before, limit))
        yield from ("one", "two")

    async def alist(self, config: Any, **options: Any) -> Any:
        for each in self.list(config, **options):
            yield each


def decision() -> Calls[Any]:
    got = yield ("get_tuple", ("config",))
    listed = yield ("list", ("config", "before", 3, {"a": 1}))
    program = line("a")
    task = Task(program.nodes["a"], ("__pregel_pull", "a"), (), EMPTY)
    writes = yield ("run_task", (RunContext(program), task, {"n": 1}))
    return got, listed, writes


def test_a_decision_is_the_same_in_both_colours() -> None:
    for engine in ("sync", "aio"):
        saver = Recorder()
        result = drive(decision(), saver) if engine == "sync" else asyncio.run(adrive(decision(), saver))
        assert result == ("found", ["one", "two"], [("n", 1)])
        assert saver.calls == ["config", ("config", {"a": 1}, "before", 3)]


def test_errors_of_the_saver_pass() -> None:
    with pytest.raises(AttributeError):
        drive(decision(), object())
    with pytest.raises(AttributeError):
        asyncio.run(adrive(decision(), object()))
