"""What callback handlers are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distgraph.callbacks import GraphInterruptEvent, GraphResumeEvent
from distgraph.superstep.advance import Verdict
from distgraph.types import Interrupt


def handlers_of(config: Mapping[str, Any], method: str) -> list[Callable[[Any], Any]]:
    """The callbacks in ``config`` that want to hear of ``method``: given as a list, or as a manager with handlers."""
    callbacks = config.get("callbacks")
    if not callbacks:
        return []
    handlers = callbacks if isinstance(callbacks, list | tuple) else getattr(callbacks, "handlers", ())
    return [_careful(handler, getattr(handler, method)) for handler in handlers if hasattr(handler, method)]


def _careful(handler: Any, call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``call``, whose failures are no failures of the run, unless the handler asks for that."""
    if getattr(handler, "raise_error", False):
        return call

    def told(event: Any) -> Any:
        try:
            answer = call(event)
        except Exception as exc:
            _report(call, exc)
            return None
        return _awaited(call, answer) if hasattr(answer, "__await__") else answer

    return told


async def _awaited(call: Callable[[Any], Any], answer: Any) -> None:
    try:
        await answer
    except Exception as exc:
        _report(call, exc)


def _report(call: Callable[[Any], Any], exc: Exception) -> None:
    import logging

    name = getattr(call, "__qualname__", repr(call))
    logging.getLogger("distgraph").warning("Callback %s failed; the run goes on.", name, exc_info=exc)


def resume_event(run_id: str, checkpoint_id: str, ns: tuple[str, ...]) -> GraphResumeEvent:
    """A run goes on."""
    return GraphResumeEvent(run_id or None, "pending", checkpoint_id, ns)


def interrupt_event(
    run_id: str, checkpoint_id: str, ns: tuple[str, ...], verdict: Verdict, interrupts: Sequence[Interrupt]
) -> GraphInterruptEvent:
    """A run stopped: at a breakpoint, or because a node asked."""
    run, asked = run_id or None, tuple(interrupts)
    if verdict is Verdict.STOP_BEFORE:
        return GraphInterruptEvent(run, "interrupt_before", checkpoint_id, ns, asked)
    if verdict is Verdict.STOP_AFTER:
        return GraphInterruptEvent(run, "interrupt_after", checkpoint_id, ns, asked)
    return GraphInterruptEvent(run, "pending", checkpoint_id, ns, asked)
