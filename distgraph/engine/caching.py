"""Node results that are used again: under which key, when they are looked up, and what is worth keeping.

Before a superstep runs, the tasks of nodes with a cache policy are looked up, all in one call. What is found settles
the task as if it had run, routing decisions included. What finished is kept; a failure or a question never is.
"""

from __future__ import annotations

from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any

from distgraph.constants import CACHE_NS, ERROR, INTERRUPT
from distgraph.digests import hex_digest
from distgraph.engine.savers import Calls, Op
from distgraph.superstep.model import Node, Program, Task, is_child, is_finished
from distgraph.superstep.views import task_input
from distgraph.types import CacheKey, CachePolicy, Write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distgraph.engine.session import Session


def caches(program: Program) -> bool:
    """Whether any node of ``program`` has a cache policy."""
    return any(node.cache is not None for node in program.nodes.values())


def cache_namespace(program: Program, node: Node) -> tuple[str, ...]:
    """Where the results of ``node`` are: of this node in this graph, as long as its function keeps its name.

    A result holds routing decisions, so it is of no use to a graph with other nodes or edges.
    """
    return CACHE_NS, program.fingerprint, _function_name(node.action), node.name


def task_namespace(node: Node) -> tuple[str, ...]:
    """Where the results of a task that nodes call are: of its function, whichever graph calls it."""
    return CACHE_NS, _function_name(node.action), node.name


def cache_key(program: Program, task: Task, stop: int) -> CacheKey | None:
    """Under what the result of ``task`` is kept; None for a node without a policy.

    Raises:
        Exception: whatever ``key_func`` raises, with a note that names the task.
    """
    policy: CachePolicy[Any] | None = task.node.cache
    if policy is None:
        return None
    try:
        if called := is_child(task):
            args, kwargs = task.arg
            key = digest_of_key(policy.key_func(*args, **kwargs))
        else:
            key = digest_of_key(policy.key_func(task_input(program, task, stop)))
    except Exception as exc:
        exc.add_note(f"While naming the cached result of task '{task.name}'")
        raise
    return CacheKey(task_namespace(task.node) if called else cache_namespace(program, task.node), key, policy.ttl)


def digest_of_key(key: str | bytes) -> str:
    """What a ``key_func`` returned, as 32 hex digits.

    Raises:
        TypeError: it is neither text nor bytes.
    """
    if isinstance(key, str):
        return hex_digest(key)
    if isinstance(key, bytes):
        return hex_digest(key.hex())
    raise TypeError(f"CachePolicy.key_func must return str or bytes, got {key!r} ({type(key).__name__}).")


def is_cacheable(writes: Sequence[Write]) -> bool:
    """Whether a task that came to ``writes`` is over: what failed, asks or sleeps is not worth keeping."""
    return is_finished(writes) and not any(channel in (ERROR, INTERRUPT) for channel, _ in writes)


def take_cached(session: Session) -> Calls[None]:
    """Settle the tasks of this superstep whose results the cache has."""
    ctx, wanted = session.ctx, session.cached_as
    wanted.clear()
    for task in session.todo():
        key = cache_key(session.program, task, ctx.stop)
        if key is not None:
            wanted[task.id] = key
    if not wanted:
        return
    found = yield "cache_get", (ctx.cache, tuple({(key.ns, key.key): None for key in wanted.values()}))
    for task in session.todo():
        key = wanted.get(task.id)
        if key is not None and (writes := found.get((key.ns, key.key))):
            del wanted[task.id]
            session.settle(task, [(channel, value) for channel, value in writes], cached=True)


def keep_cached(session: Session, task: Task, writes: Sequence[Write]) -> Op | None:
    """The call that keeps what ``task`` came to, if it is to be kept."""
    key = session.cached_as.pop(task.id, None)
    if key is None or not is_cacheable(writes):
        return None
    return "cache_set", (session.ctx.cache, {(key.ns, key.key): (list(writes), key.ttl)})


def _function_name(action: Any) -> str:
    """Module and qualified name of what a node calls."""
    fn = getattr(action, "fn", action)
    while isinstance(fn, partial | MethodType):
        fn = fn.func if isinstance(fn, partial) else fn.__func__
    named = fn if hasattr(fn, "__qualname__") else type(fn)
    return f"{named.__module__}.{named.__qualname__}"
