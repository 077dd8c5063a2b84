"""What callback handlers are told, and when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from distgraph.callbacks import GraphCallbackHandler, GraphInterruptEvent, GraphResumeEvent
from distgraph.checkpoint.memory import InMemorySaver
from distgraph.engine import aio
from distgraph.types import Command, interrupt
from tests.unit.engine.engines import ENGINES, run
from tests.unit.engine.small import ask, line, on

pytestmark = pytest.mark.unit


class Recorder(GraphCallbackHandler):
    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_interrupt(self, event: GraphInterruptEvent) -> None:
        self.events.append(("stop", event.status, [each.value for each in event.interrupts]))

    def on_resume(self, event: GraphResumeEvent) -> None:
        self.events.append(("go", event.status))


def asking(state: Any) -> Any:
    return {"log": [interrupt("?")]}


@ENGINES
def test_handlers_hear_of_stops_and_of_going_on(engine: str) -> None:
    """Of breakpoints and of questions."""
    recorder, saver, program = Recorder(), InMemorySaver(), line("q", q=asking)
    config = {**on(), "callbacks": [recorder, object()]}
    inputs: list[Any] = [{}, None, Command(resume="!")]
    for given in inputs:
        run(engine, ask(program, given, config, saver, interrupt_before=["q"]))
    assert recorder.events == [
        ("stop", "interrupt_before", []),
        ("go", "pending"),
        ("stop", "pending", ["?"]),
        ("go", "pending"),
    ]


@ENGINES
def test_a_manager_of_handlers_is_looked_through(engine: str) -> None:
    """Other libraries wrap theirs in an object with ``handlers``."""
    recorder = Recorder()

    class Manager:
        handlers = (recorder,)

    run(engine, ask(line("q", q=asking), {}, {**on(), "callbacks": Manager()}, InMemorySaver()))
    assert recorder.events == [("stop", "pending", ["?"])]


def test_async_handlers_are_awaited() -> None:
    heard: list[str] = []

    class Slow(GraphCallbackHandler):
        async def on_interrupt(self, event: GraphInterruptEvent) -> None:
            await asyncio.sleep(0)
            heard.append(event.status)

    request = ask(line("q", q=asking), {}, {**on(), "callbacks": [Slow()]}, InMemorySaver())
    asyncio.run(aio.run(request))
    assert heard == ["pending"]
