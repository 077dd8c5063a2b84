"""``@entrypoint``: a function as a whole graph, of one node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter, isasyncgenfunction, isgeneratorfunction, signature
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from distgraph.channels import EphemeralValue, LastValue
from distgraph.constants import END, PREVIOUS, START
from distgraph.engine.call import NodeCall
from distgraph.errors import ConfigError
from distgraph.graph.channel_graph import Pregel
from distgraph.graph.declarations import DEFAULT_NAME, no_more, policies_of, renamed
from distgraph.superstep.model import Node
from distgraph.types import CachePolicy, RetryPolicy, TimeoutPolicy, Write

R = TypeVar("R")
S = TypeVar("S")


class entrypoint:
    """Make a function a workflow: a graph that takes its argument and returns its result.

    The function takes one argument of any type; ``config``, ``writer``, ``store``, ``runtime`` and ``previous`` are
    given to parameters of these names. ``previous`` is what the last run of the thread returned, or saved with
    ``entrypoint.final``. Inside, tasks run and their results are kept: a workflow that stopped to ask, or failed, runs
    again from its top and gets them back without running them.

    Args:
        checkpointer: saver of the workflow's threads.
        store: long-term memory.
        cache: keeps results of tasks with a cache policy.
        context_schema: type of what callers pass as ``context=``.
        cache_policy: reuse the workflow's result for equal inputs.
        retry_policy: when to try again; of several the first that matches.
        timeout: of one attempt, in seconds, as timedelta or ``TimeoutPolicy``; for async functions.
        **deprecated: older names of these, with a warning.
    """

    @dataclass(frozen=True, slots=True)
    class final(Generic[R, S]):
        """What a workflow returns to give ``value`` to its caller and ``save`` to the thread's next run."""

        value: R
        save: S

    def __init__(
        self,
        checkpointer: Any = None,
        store: Any = None,
        cache: Any = None,
        context_schema: Any = None,
        cache_policy: CachePolicy[Any] | None = None,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
        timeout: Any = None,
        **deprecated: Any,
    ) -> None:
        context_schema = renamed(deprecated, "config_schema", "context_schema", context_schema)
        retry_policy = renamed(deprecated, "retry", "retry_policy", retry_policy)
        no_more(deprecated, "entrypoint")
        self.checkpointer = checkpointer
        self.store = store
        self.cache = cache
        self.context_schema = context_schema
        self.cache_policy = cache_policy
        self.retry_policy = policies_of(retry_policy)
        self.timeout = TimeoutPolicy.coerce(timeout)

    def __call__(self, func: Callable[..., Any]) -> Pregel[Any, Any, Any, Any]:
        """The workflow of ``func``.

        Raises:
            NotImplementedError: ``func`` is a generator.
            ValueError: it takes no argument, or has a time limit and is not async.
        """
        if isgeneratorfunction(func) or isasyncgenfunction(func):
            raise NotImplementedError(
                "Generators are not supported in the Functional API: return the result, and stream with a writer."
            )
        parameters = [*signature(func).parameters.values()]
        if not parameters:
            raise ValueError("Entrypoint function must have at least one parameter: the input.")
        name = getattr(func, "__name__", type(func).__name__)
        call = NodeCall(func, name=name)
        if self.timeout is not None and not call.is_async:
            raise ConfigError(
                "Entrypoint timeouts are only supported for async nodes and entrypoints because a sync function cannot be "
                f"stopped: {name!r} is sync."
            )
        given, result, saved = _types_of(func, parameters[0])
        node = Node(
            name,
            (START,),
            START,
            call,
            _write,
            retry=self.retry_policy,
            cache=self.cache_policy,
            timeout=self.timeout,
        )
        graph: Pregel[Any, Any, Any, Any] = _Workflow(
            nodes={name: node},
            channels={
                START: EphemeralValue(given),
                END: LastValue(result, END),
                PREVIOUS: LastValue(saved, PREVIOUS),
            },
            input_channels=START,
            output_channels=END,
            stream_channels=END,
            stream_mode="updates",
            checkpointer=self.checkpointer,
            store=self.store,
            cache=self.cache,
            context_schema=self.context_schema,
            name=name,
            live=True,
        )
        return graph


class _Workflow(Pregel[Any, Any, Any, Any]):
    """The graph of a workflow; whoever is told of its runs, or reads its schemas, knows it as a graph without a name."""

    @property
    def told_as(self) -> str:
        """As callers elsewhere know workflows."""
        return DEFAULT_NAME

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """The workflow's name; its schemas have that of graphs without one."""
        return super().get_name(suffix, name=name or (DEFAULT_NAME if suffix else None))


def _write(output: Any) -> list[Write]:
    if isinstance(output, entrypoint.final):
        return [(END, output.value), (PREVIOUS, output.save)]
    return [(END, output), (PREVIOUS, output)]


def _types_of(func: Any, first: Parameter) -> tuple[Any, Any, Any]:
    """The types of a workflow's input, of its result, and of what it saves for the next run."""
    try:
        hints = get_type_hints(func if hasattr(func, "__annotations__") else type(func).__call__, include_extras=True)
    except Exception:
        # Names that exist for type checkers alone say nothing at run time.
        hints = {}
    returned = hints.get("return", Any)
    if returned is entrypoint.final:
        returned = entrypoint.final[Any, Any]
    result, saved = get_args(returned) if get_origin(returned) is entrypoint.final else (returned, returned)
    return hints.get(first.name, Any), result, saved
