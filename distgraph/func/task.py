"""``@task``: a step of a workflow. Called from a running node it starts at once and returns a future."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, overload

from distgraph.constants import PUSH
from distgraph.engine.caching import task_namespace
from distgraph.engine.call import ArgumentsCall
from distgraph.engine.children import returned
from distgraph.errors import ConfigError
from distgraph.graph.declarations import no_more, policies_of, renamed
from distgraph.runtime import current_scope
from distgraph.superstep.model import Node
from distgraph.types import CachePolicy, RetryPolicy, TimeoutPolicy

P = ParamSpec("P")
T = TypeVar("T")


class TaskFunction(Generic[P, T]):
    """A function whose calls are tasks. Behaves like the function, but returns a future of its result.

    Attributes:
        func: the function itself.
        node: what the engine runs.
    """

    def __init__(self, func: Callable[P, Any], node: Node) -> None:
        self.func = func
        self.node = node
        update_wrapper(self, func)
        self.__name__ = node.name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Start the task.

        Returns:
            Its future: ``result()`` waits for it; in async code it is awaited.

        Raises:
            RuntimeError: called outside a node that a graph is running, or an async task without an event loop.
        """
        return current_scope().start(self.node, (args, kwargs))

    def clear_cache(self, cache: Any) -> None:
        """Forget the results of this task that ``cache`` keeps."""
        if self.node.cache is not None:
            cache.clear((task_namespace(self.node),))

    async def aclear_cache(self, cache: Any) -> None:
        """``clear_cache`` under an event loop."""
        if self.node.cache is not None:
            await cache.aclear((task_namespace(self.node),))


@overload
def task(func: Callable[P, T], /) -> TaskFunction[P, T]: ...
@overload
def task(
    func: None = None,
    /,
    *,
    name: str | None = None,
    retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
    cache_policy: CachePolicy[Any] | None = None,
    timeout: Any = None,
    **deprecated: Any,
) -> Callable[[Callable[P, T]], TaskFunction[P, T]]: ...
def task(
    func: Any = None,
    /,
    *,
    name: str | None = None,
    retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
    cache_policy: CachePolicy[Any] | None = None,
    timeout: Any = None,
    **deprecated: Any,
) -> Any:
    """Make a function a task: ``@task``, or ``@task(name=..., ...)``.

    Args:
        func: the function, plain or async.
        name: shown in streams; by default the function's own.
        retry_policy: when to try again; of several the first that matches.
        cache_policy: reuse the results of equal arguments.
        timeout: of one attempt, in seconds, as timedelta or ``TimeoutPolicy``; for async functions.
        **deprecated: older names of these, with a warning.

    Raises:
        ConfigError: a time limit on a function that is not async (a ValueError).
    """
    if deprecated:
        retry_policy = renamed(deprecated, "retry", "retry_policy", retry_policy)
        no_more(deprecated, "task")
    retry, limits = policies_of(retry_policy), TimeoutPolicy.coerce(timeout)

    def decorate(fn: Callable[P, T]) -> TaskFunction[P, T]:
        own = name or _name_of(fn)
        call = ArgumentsCall(fn, name=own)
        if limits is not None and not call.is_async:
            raise ConfigError(
                f"Task timeouts are only supported for async nodes and tasks because a sync function cannot be stopped: "
                f"{own!r} is sync."
            )
        node = Node(own, (PUSH,), (), call, returned, retry=retry, cache=cache_policy, timeout=limits)
        return TaskFunction(fn, node)

    return decorate if func is None else decorate(func)


def _name_of(fn: Any) -> str:
    inner = getattr(fn, "func", None)
    return getattr(fn, "__name__", None) or getattr(inner, "__name__", None) or type(fn).__name__
