"""What the tasks of a run see on a worker, besides their input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distgraph.cluster.options import RunOptions
from distgraph.cluster.registry import Served
from distgraph.cluster.shelves import NO_SHELF, Shelf
from distgraph.engine.context import RunContext
from distgraph.engine.naps import Naps
from distgraph.errors import ConfigError
from distgraph.graph.contexts import shape_context
from distgraph.runtime import Runtime


def with_context(runtime: Runtime[Any], served: Served, context: Any) -> tuple[Runtime[Any], ConfigError | None]:
    """``runtime`` with ``context`` as the graph's nodes see it, and why the graph does not take it, if so.

    A client that knows the graph by name alone cannot check it.
    """
    try:
        shaped = shape_context(getattr(served.graph, "context_schema", None), context, served.name)
    except ConfigError as exc:
        return runtime, exc
    except Exception as exc:
        return runtime, ConfigError(f"Graph {served.name!r} does not take this context: {exc}")
    return runtime.override(context=shaped), None


def context_for(
    served: Served,
    options: RunOptions,
    *,
    run_id: str,
    thread_id: str,
    effects: Any = None,
    naps: Naps | None = None,
    emit: Any = None,
    modes: frozenset[str] = frozenset(),
    cancelled: Callable[[], bool] | None = None,
    shelf: Shelf = NO_SHELF,
) -> RunContext:
    """What the tasks of a run see, on a worker."""
    config = options.config(thread_id)
    given = {"effects": effects, "is_cancelled": cancelled}
    runtime: Runtime[Any] = Runtime(
        context=options.context,
        store=shelf.store,
        **{name: value for name, value in given.items() if value is not None},
    )
    ctx = RunContext(
        served.program,
        config=config,
        runtime=runtime,
        cache=shelf.cache,
        saver=shelf.saver,
        thread_id=thread_id,
        run_id=run_id,
        emit=emit,
        modes=modes,
    )
    ctx.naps = naps or ctx.naps
    # An attempt before this one may have begun them.
    ctx.resuming = ctx.unsure = True
    return ctx
