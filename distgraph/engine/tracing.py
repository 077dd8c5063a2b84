"""Runs of graphs and nodes, told to callback handlers of LangChain: what its tracers make trees of.

Only where the caller's config brings such a handler is anything of LangChain loaded, and anything told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from inspect import signature
from typing import TYPE_CHECKING, Any

from distgraph.engine.call import ArgumentsCall, NodeCall
from distgraph.engine.tokens import WITHIN, leave, surround, surrounding, traces
from distgraph.types import TracePolicy

if TYPE_CHECKING:
    from distgraph.engine.place import Place
    from distgraph.engine.request import Request
    from distgraph.engine.scope import NodeScope


_WHOLE = TracePolicy()
_log = logging.getLogger(__name__)


class Trace:
    """One run of a graph, as handlers are told of it.

    Args:
        run: what LangChain made at its begin: told of its end, and makes the callbacks of what runs inside.
    """

    __slots__ = ("_run",)

    def __init__(self, run: Any) -> None:
        self._run = run

    def failed(self, exc: BaseException) -> None:
        """The graph ended with ``exc``."""
        self._run.on_chain_error(exc)

    @contextmanager
    def ending(self, output: Callable[[], Any]) -> Iterator[None]:
        """The graph ends with ``output()``, or with what is raised inside."""
        try:
            yield
        except BaseException as exc:
            self.failed(exc)
            raise
        self._run.on_chain_end(output())

    def call(self, action: NodeCall, scope: NodeScope, value: Any, around: Any) -> Any:
        """What ``action`` returns, as a run of its own inside the graph's, or inside that of the node that called it.

        Args:
            action: the node's.
            scope: of this attempt.
            value: the node's input.
            around: what ran here when the attempt began.
        """
        with self._node(scope, value, around) as told:
            told.append(action.call(value, scope))
        return told[0]

    async def acall(self, action: NodeCall, scope: NodeScope, value: Any, around: Any) -> Any:
        """``call`` under an event loop."""
        with self._node(scope, value, around) as told:
            told.append(await action.acall(value, scope))
        return told[0]

    @contextmanager
    def _node(self, scope: NodeScope, value: Any, around: Any) -> Iterator[list[Any]]:
        calls = getattr(around, "ctx", None) is scope.ctx and around.told is not None
        manager = (around.told if calls else self._run).get_child(f"graph:step:{scope.task.step}")
        manager.add_metadata(scope.ctx.config_of(scope.task)["metadata"])
        policy = scope.task.node.trace_policy or _WHOLE
        shown = _shown(scope.task.node.action, value)
        recorded = _processed(shown, policy.process_inputs)
        if recorded is shown:
            run = manager.on_chain_start(None, shown, name=scope.task.name)
        else:
            others, tracers = _apart(manager)
            run = others.on_chain_start(None, shown, name=scope.task.name)
            tracers.on_chain_start(None, recorded, name=scope.task.name, run_id=run.run_id)
            run.handlers = manager.handlers
        scope.trace(run)
        outputs: list[Any] = []
        surroundings = surround(scope)
        try:
            yield outputs
        except BaseException as exc:
            run.on_chain_error(exc)
            raise
        finally:
            leave(surroundings)
        recorded = _processed(outputs[0], policy.process_outputs)
        if recorded is outputs[0]:
            run.on_chain_end(recorded)
        else:
            others, tracers = _apart(run)
            tracers.on_chain_end(recorded)
            others.on_chain_end(outputs[0])


def _processed(value: Any, process: Callable[[Any], Any] | None) -> Any:
    """What is recorded of ``value``."""
    if process is None:
        return value
    try:
        return process(value)
    except Exception:
        _log.exception("A TracePolicy failed: the value itself is recorded")
        return value


def _apart(told: Any) -> tuple[Any, Any]:
    """A manager or a run twice: with the handlers that are no tracers, and with those that are."""
    from langchain_core.tracers._streaming import _StreamingCallbackHandler as Streaming
    from langchain_core.tracers.base import BaseTracer

    # Some tracers feed a stream, whose readers want the values themselves.
    records = [isinstance(each, BaseTracer) and Streaming not in type(each).__mro__ for each in told.handlers]
    others, tracers = copy(told), copy(told)
    others.handlers = [each for each, record in zip(told.handlers, records, strict=True) if not record]
    tracers.handlers = [each for each, record in zip(told.handlers, records, strict=True) if record]
    return others, tracers


def trace_of(request: Request, place: Place) -> Trace | None:
    """Tell the handlers of a run's config that it begins; None where there are none."""
    config = place.config
    around = place.scope.told if place.scope is not None else None
    handlers = [each for each in config.get("callbacks") or () if traces(each)]
    if around is None and not handlers:
        return None
    manager = _manager(handlers, config) if around is None else around.get_child(WITHIN)
    if around is None:
        given = (request.config or {}).get("callbacks") or surrounding().get("callbacks")
        manager.parent_run_id = getattr(given, "parent_run_id", None)
    for handler in handlers:
        if handler not in manager.handlers:
            manager.add_handler(handler)
    name = config.get("run_name") or request.told_as or request.name
    return Trace(manager.on_chain_start(None, request.input, name=name, run_id=config.get("run_id")))


def _shown(action: Any, value: Any) -> Any:
    """A node's input; of a task the arguments by name."""
    if not isinstance(action, ArgumentsCall):
        return value
    args, kwargs = value
    return dict(signature(action.fn).bind(*args, **kwargs).arguments)


def _manager(handlers: Sequence[Any], config: Mapping[str, Any]) -> Any:
    # Its handlers are there, so it is installed.
    from langchain_core.callbacks import CallbackManager

    return CallbackManager.configure(
        inheritable_callbacks=list(handlers),
        inheritable_tags=config.get("tags"),
        inheritable_metadata=config.get("metadata"),
    )
