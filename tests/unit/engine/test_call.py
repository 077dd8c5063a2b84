"""Whatever users give as a node is called with what it asks for."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, ClassVar, Optional

import pytest

from distgraph.config import RunnableConfig
from distgraph.engine.call import NodeCall, injected_into, names_in
from distgraph.errors import NodeError
from distgraph.runtime import Runtime
from distgraph.types import StreamWriter

pytestmark = pytest.mark.unit

#: What a scope offers, as far as calls look.
SCOPE: Any = SimpleNamespace(
    config={"tags": ["t"]},
    runtime=SimpleNamespace(stream_writer=print, store="the store", previous="before"),
    error=None,
)


class BaseStore:
    """Named as the store's base class is: annotations are compared by name."""


class Counter:
    """A callable object."""

    def __call__(self, value: int) -> int:
        return value + 1

    def method(self, value: int) -> int:
        return value + 2


class AsyncCounter:
    async def __call__(self, value: int) -> int:
        return value + 3


class Runnable:
    """Shaped like the runnables of other libraries."""

    def invoke(self, value: Any, config: Any) -> Any:
        return ("invoke", value, config)

    async def ainvoke(self, value: Any, config: Any) -> Any:
        return ("ainvoke", value, config)


def plain(value: int) -> int:
    return value * 2


async def waits(value: int) -> int:
    await asyncio.sleep(0)
    return value * 3


def yields(value: int) -> Iterator[int]:
    yield value
    yield value + 10


async def ayields(value: int) -> AsyncIterator[int]:
    yield value
    yield value + 20


def call(fn: Any, value: Any = 1) -> Any:
    return NodeCall(fn, name="node").call(value, SCOPE)


def acall(fn: Any, value: Any = 1) -> Any:
    return asyncio.run(NodeCall(fn, name="node").acall(value, SCOPE))


@pytest.mark.parametrize(
    ("fn", "result"),
    [
        (plain, 2),
        (lambda value: value, 1),
        (functools.partial(lambda extra, value: extra + value, 5), 6),
        (Counter(), 2),
        (Counter().method, 3),
        (str, "1"),
        (yields, 11),
    ],
)
def test_every_kind_of_synchronous_callable_is_called(fn: Any, result: Any) -> None:
    """In both engines, with the same result; of a generator the last value counts."""
    assert call(fn) == acall(fn) == result
    assert not NodeCall(fn, name="node").is_async


@pytest.mark.parametrize(
    ("fn", "result"), [(waits, 3), (AsyncCounter(), 4), (ayields, 21), (functools.partial(waits), 3)]
)
def test_async_callables_are_awaited(fn: Any, result: Any) -> None:
    made = NodeCall(fn, name="node")
    assert made.is_async
    assert not made.sync_ok
    assert acall(fn) == result


def test_an_async_node_cannot_run_without_a_loop() -> None:
    """The message names the node and the way out."""
    with pytest.raises(TypeError, match='No synchronous function provided to "node"') as caught:
        call(waits)
    assert "ainvoke" in str(caught.value)


def test_runnables_get_the_config() -> None:
    """Objects with invoke and ainvoke take the task's config as their second argument."""
    assert call(Runnable()) == ("invoke", 1, SCOPE.config)
    assert acall(Runnable()) == ("ainvoke", 1, SCOPE.config)


def test_a_runnable_without_ainvoke_gets_a_thread() -> None:
    class Blocking:
        def invoke(self, value: Any, config: Any) -> Any:
            return threading.current_thread() is threading.main_thread()

    assert call(Blocking()) is True
    assert acall(Blocking()) is False


def test_synchronous_nodes_of_the_async_engine_keep_context_variables() -> None:
    """They run in another OS thread, but in the caller's context."""
    who: ContextVar[str] = ContextVar("who")

    async def main() -> Any:
        who.set("me")
        return await NodeCall(lambda value: who.get(), name="node").acall(1, SCOPE)

    assert asyncio.run(main()) == "me"


def test_what_is_no_callable_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Node 'node': expected a function.*got 5 \(int\)"):
        NodeCall(5, name="node")


def test_extra_arguments_are_injected_by_name() -> None:
    """config, writer, store, previous and runtime; keyword-only or not."""

    def node(
        value: int,
        config: RunnableConfig,
        writer: StreamWriter,
        *,
        store: BaseStore,
        previous: Any,
        runtime: Runtime[None],
    ) -> Any:
        return value, config, writer, store, previous, runtime

    assert call(node) == (1, SCOPE.config, print, "the store", "before", SCOPE.runtime)
    assert acall(node) == call(node)


def test_async_nodes_get_the_same_arguments() -> None:
    async def node(value: int, *, config: RunnableConfig) -> Any:
        return config

    assert acall(node) == SCOPE.config


def test_an_error_is_injected_by_its_annotation_only() -> None:
    """``error`` is a likely name for a parameter of one's own."""

    def handler(value: int, error: NodeError) -> Any:
        return error

    def other(value: int, error: str = "mine") -> Any:
        return error

    assert call(handler) is None
    assert call(other) == "mine"


def test_a_bound_keyword_stays() -> None:
    """``partial(fn, store=...)`` means that store."""

    def node(value: int, store: Any = None) -> Any:
        return store

    assert call(functools.partial(node, store="mine")) == "mine"


def test_the_first_parameter_is_always_the_input() -> None:
    def node(config: Any) -> Any:
        return config

    assert call(node) == 1


def test_a_config_of_another_type_is_not_injected_and_is_warned_about() -> None:
    def node(value: int, config: int = 7) -> int:
        return config

    with pytest.warns(UserWarning, match="'config' parameter should be typed as 'RunnableConfig'"):
        assert call(node) == 7


@pytest.mark.parametrize(
    ("annotation", "names"),
    [
        (RunnableConfig, {"RunnableConfig"}),
        (Optional[RunnableConfig], {"RunnableConfig", "NoneType"}),  # noqa: UP045 - the older spelling
        (RunnableConfig | None, {"RunnableConfig", "NoneType"}),
        ("distgraph.config.RunnableConfig | None", {"RunnableConfig", "None"}),
        ("Optional[RunnableConfig]", {"Optional", "RunnableConfig"}),
        (StreamWriter, {"StreamWriter"}),
    ],
)
def test_annotations_are_compared_by_name(annotation: Any, names: set[str]) -> None:
    """Also as text, because of ``from __future__ import annotations``."""
    assert set(names_in(annotation)) == names


def test_builtins_without_a_signature_ask_for_nothing() -> None:
    assert injected_into(dict.fromkeys, "node") == ()
    assert injected_into(max, "node") == ()


def test_a_dict_of_callables_gives_a_dict_of_what_they_return() -> None:
    async def awaited(value: int) -> int:
        return value + 2

    parts = NodeCall({"a": lambda value: value, "b": lambda value, config: config}, name="n")
    assert parts.call(1, SCOPE) == {"a": 1, "b": SCOPE.config}
    assert not parts.is_async
    mixed = NodeCall({"a": lambda value: value, "b": awaited}, name="n")
    assert mixed.is_async
    assert asyncio.run(mixed.acall(1, SCOPE)) == {"a": 1, "b": 3}
    with pytest.raises(TypeError, match="No synchronous function"):
        mixed.call(1, SCOPE)


class OfFunction:
    """As LangGraph makes a runnable of a function: it says what that one asks for, and is given it by name."""

    func_accepts: ClassVar[dict[str, Any]] = {
        "config": ("N/A", None),
        "runtime": ("N/A", None),
        "store": ("store", None),
    }

    def __init__(self, *, sync: bool = True, aio: bool = True) -> None:
        self.func, self.afunc = sync or None, aio or None

    def invoke(self, value: Any, config: Any, **given: Any) -> Any:
        return value, config, given

    async def ainvoke(self, value: Any, config: Any, **given: Any) -> Any:
        return value, config, given


def test_a_runnable_of_a_function_is_given_what_that_one_asks_for() -> None:
    wanted = (1, SCOPE.config, {"store": "the store", "runtime": SCOPE.runtime})
    assert call(OfFunction()) == acall(OfFunction()) == wanted


@pytest.mark.parametrize(("sync", "aio"), [(True, False), (False, True)])
def test_a_runnable_of_a_function_may_have_one_colour(sync: bool, aio: bool) -> None:
    made = NodeCall(OfFunction(sync=sync, aio=aio), name="n")
    assert (made.sync_ok, made.is_async) == (sync, aio)
    if not sync:
        with pytest.raises(TypeError, match="ainvoke"):
            made.call(1, SCOPE)
