"""Whatever users give as a node or branch, called with what it asks for.

What a callable is and which extra arguments it takes is decided once, when the graph is built; the plain one-argument
function is then called without any look-up.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, get_args

from distgraph.engine.foreign import asked_by, ours
from distgraph.types import StreamWriter

if TYPE_CHECKING:
    from distgraph.engine.scope import NodeScope

#: What a parameter of this name receives.
_SOURCES: dict[str, Callable[[NodeScope], Any]] = {
    "config": lambda scope: scope.config,
    "writer": lambda scope: scope.runtime.stream_writer,
    "store": lambda scope: scope.runtime.store,
    "previous": lambda scope: scope.runtime.previous,
    "runtime": lambda scope: scope.runtime,
    "error": lambda scope: scope.error,
}
#: Annotations (by name) that a parameter must have, where its name alone does not decide; "" is none at all.
_ANNOTATIONS: dict[str, frozenset[str]] = {
    "config": frozenset({"", "RunnableConfig"}),
    "writer": frozenset({"", "StreamWriter"}),
    "store": frozenset({"", "BaseStore"}),
    "error": frozenset({"NodeError"}),
}
_NAMES = frozenset(_SOURCES)
_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
#: Types whose values are called, whatever attributes they have.
_CALLED = (FunctionType, MethodType, partial, type)
_AWAITED = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class NodeCall:
    """A node's or branch's callable, ready to be called in either engine.

    Args:
        fn: a function, an async function, a partial, a callable object, a generator function of either colour (its
            last value wins), an object with ``invoke`` or ``ainvoke``, or a dict of these: each is called with the
            input, and the output is a dict of what they return.
        name: the node's name, for messages.

    Attributes:
        call: ``(value, scope) -> output``, without waiting on an event loop.
        is_async: the callable is a coroutine: the async engine awaits it instead of giving it an OS thread.
        sync_ok: it can be called without an event loop.
    """

    __slots__ = ("_afn", "call", "fn", "injected", "is_async", "name", "sync_ok")

    def __init__(self, fn: Any, *, name: str) -> None:
        self.fn = fn
        self.name = name
        self.injected: tuple[str, ...] = ()
        self.sync_ok: bool
        self.call: Callable[[Any, NodeScope], Any]
        #: Awaited by the async engine: (value, scope) -> awaitable.
        self._afn: Callable[[Any, NodeScope], Any] | None = None
        if isinstance(fn, FunctionType):
            self._of_callable(fn)
        elif isinstance(fn, Mapping):
            self._of_parts({key: NodeCall(part, name=name) for key, part in fn.items()})
        elif _is_runnable(fn):
            self._of_runnable(fn)
        elif callable(fn):
            self._of_callable(fn)
        else:
            raise TypeError(
                f"Node {name!r}: expected a function, or an object with invoke or ainvoke, got {fn!r} "
                f"({type(fn).__name__})."
            )
        self.is_async = self._afn is not None

    async def acall(self, value: Any, scope: NodeScope) -> Any:
        """The same under an event loop; what is not async gets an OS thread of its own, with the caller's context."""
        if self._afn is not None:
            return await self._afn(value, scope)
        from asyncio import to_thread

        return await to_thread(self.call, value, scope)

    def _of_parts(self, parts: Mapping[Any, NodeCall]) -> None:
        self.injected = tuple(dict.fromkeys(name for part in parts.values() for name in part.injected))
        self.sync_ok = all(part.sync_ok for part in parts.values())
        self.call = lambda value, scope: {key: part.call(value, scope) for key, part in parts.items()}
        if not any(part.is_async for part in parts.values()):
            return

        async def together(value: Any, scope: NodeScope) -> Any:
            from asyncio import gather

            made = await gather(*(part.acall(value, scope) for part in parts.values()))
            return dict(zip(parts, made, strict=True))

        self._afn = together

    def _of_runnable(self, fn: Any) -> None:
        if (asked := asked_by(fn)) is not None:
            self._of_foreign(fn, [(kw, _SOURCES[kw]) for kw in _SOURCES if kw in asked and kw != "config"])
            return
        invoke, ainvoke = getattr(fn, "invoke", None), getattr(fn, "ainvoke", None)
        self.sync_ok = invoke is not None
        self.call = (lambda value, scope: invoke(value, scope.config)) if invoke is not None else self._no_sync
        if ainvoke is not None and not _only_sync(fn):
            self._afn = lambda value, scope: ainvoke(value, scope.config)

    def _of_foreign(self, fn: Any, sources: Sequence[tuple[str, Callable[[NodeScope], Any]]]) -> None:
        self.injected = tuple(name for name, _ in sources)
        self.sync_ok = fn.func is not None

        def call(value: Any, scope: NodeScope) -> Any:
            return ours(fn.invoke(value, scope.config, **{name: source(scope) for name, source in sources}))

        async def acall(value: Any, scope: NodeScope) -> Any:
            return ours(await fn.ainvoke(value, scope.config, **{name: source(scope) for name, source in sources}))

        self.call = call if self.sync_ok else self._no_sync
        if fn.afunc is not None:
            self._afn = acall

    def _of_callable(self, fn: Callable[..., Any]) -> None:
        self.injected = injected_into(fn, self.name)
        flags = _flags(_body(fn))
        call = self._call_of(_shaped(fn, flags))
        self.sync_ok = not flags & _AWAITED
        if self.sync_ok:
            self.call = call
        else:
            self.call = self._no_sync
            self._afn = call

    def _call_of(self, shaped: Callable[..., Any]) -> Callable[[Any, NodeScope], Any]:
        return _given(shaped, self.injected) if self.injected else _alone(shaped)

    def _no_sync(self, value: Any, scope: NodeScope) -> Any:
        raise TypeError(
            f'No synchronous function provided to "{self.name}": it is async. '
            "Run the graph through its async methods (ainvoke, astream), or give the node a plain function."
        )


class ArgumentsCall(NodeCall):
    """The callable of a task: its value is a pair, the arguments and keyword arguments of the call."""

    __slots__ = ()

    def _call_of(self, shaped: Callable[..., Any]) -> Callable[[Any, NodeScope], Any]:
        sources = [(name, _SOURCES[name]) for name in self.injected]

        def call(value: Any, scope: NodeScope) -> Any:
            args, kwargs = value
            more = {name: source(scope) for name, source in sources if name not in kwargs}
            return shaped(*args, **kwargs, **more)

        return call


def _alone(shaped: Callable[..., Any]) -> Callable[[Any, NodeScope], Any]:
    return lambda value, scope: shaped(value)


def _given(shaped: Callable[..., Any], injected: Iterable[str]) -> Callable[[Any, NodeScope], Any]:
    sources = [(name, _SOURCES[name]) for name in injected]
    return lambda value, scope: shaped(value, **{name: source(scope) for name, source in sources})


def injected_into(fn: Callable[..., Any], name: str) -> tuple[str, ...]:
    """The names of the extra arguments ``fn`` asks for, by parameter name and annotation."""
    body = _body(fn)
    # A decorator's wrapper hands on what the function inside asks for.
    code = getattr(inspect.unwrap(body) if hasattr(body, "__wrapped__") else body, "__code__", None)
    if code is not None and _NAMES.isdisjoint(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]):
        return ()
    try:
        parameters = inspect.signature(fn).parameters
    except (TypeError, ValueError):  # a builtin that does not tell
        return ()
    bound = fn.keywords if isinstance(fn, partial) else {}
    return tuple(kw for kw in _SOURCES if kw not in bound and _wants(parameters, kw, name))


def _wants(parameters: Mapping[str, inspect.Parameter], kw: str, name: str) -> bool:
    parameter = parameters.get(kw)
    if parameter is None or parameter.kind not in _KINDS or parameter is next(iter(parameters.values())):
        return False
    allowed = _ANNOTATIONS.get(kw)
    if allowed is None or not allowed.isdisjoint(names_in(parameter.annotation)):
        return True
    if kw == "config":
        warnings.warn(
            f"The 'config' parameter should be typed as 'RunnableConfig' or 'RunnableConfig | None', not "
            f"'{parameter.annotation}'. Node {name!r} gets no config.",
            UserWarning,
            stacklevel=2,
        )
    return False


def names_in(annotation: Any) -> Iterable[str]:
    """The simple names of the classes an annotation mentions; ``""`` for no annotation."""
    if annotation is inspect.Parameter.empty:
        return [""]
    if annotation == StreamWriter:
        return ["StreamWriter"]
    if isinstance(annotation, str):
        for mark in "[]|,":
            annotation = annotation.replace(mark, " ")
        return [part.strip("'\"").rpartition(".")[2] for part in annotation.split()]
    if args := get_args(annotation):
        return [name for arg in args for name in names_in(arg)]
    return [getattr(annotation, "__name__", "") or type(annotation).__name__]


def _is_runnable(fn: Any) -> bool:
    if isinstance(fn, _CALLED):
        return False
    # What can be called and answers to any name, as a mock does, is what it is called as.
    where = type(fn) if callable(fn) else fn
    return callable(getattr(where, "invoke", None)) or callable(getattr(where, "ainvoke", None))


def _only_sync(fn: Any) -> bool:
    """Whether a runnable's ``ainvoke`` just gives a plain function an OS thread, in one of its parts at least."""
    parts = getattr(fn, "steps", None) or [*(getattr(fn, "steps__", None) or {}).values()]
    if isinstance(parts, list) and parts:
        return any(map(_only_sync, parts))
    return hasattr(fn, "func") and not hasattr(fn, "afunc")


def _body(fn: Any) -> Any:
    """The function that runs in the end: behind partials, methods and ``__call__``."""
    if isinstance(fn, FunctionType):
        return fn
    while isinstance(fn, partial):
        fn = fn.func
    if isinstance(fn, MethodType):
        fn = fn.__func__
    if not isinstance(fn, FunctionType) and not isinstance(fn, type):
        inner = getattr(type(fn), "__call__", None)  # noqa: B004 - the function itself is wanted
        if isinstance(inner, FunctionType):
            return inner
    return fn


def _shaped(fn: Callable[..., Any], flags: int) -> Callable[..., Any]:
    """``fn``, whose body has these code flags, as a function with one result."""
    if flags & inspect.CO_GENERATOR:
        return _last(fn)
    return _alast(fn) if flags & inspect.CO_ASYNC_GENERATOR else fn


def _flags(body: Any) -> int:
    return body.__code__.co_flags if isinstance(body, FunctionType) else 0


def _last(fn: Callable[..., Any]) -> Callable[..., Any]:
    def last(*args: Any, **kwargs: Any) -> Any:
        value = None
        for value in fn(*args, **kwargs):  # noqa: B007 - the last one is the output
            pass
        return value

    return last


def _alast(fn: Callable[..., Any]) -> Callable[..., Any]:
    async def last(*args: Any, **kwargs: Any) -> Any:
        value = None
        async for value in fn(*args, **kwargs):  # noqa: B007 - the last one is the output
            pass
        return value

    return last
