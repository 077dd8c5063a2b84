"""``@task``: what a decorated function looks like, and what it refuses."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from distgraph.cache.memory import InMemoryCache
from distgraph.config import RunnableConfig
from distgraph.func import entrypoint, task
from distgraph.types import CachePolicy, StreamWriter


def shout(text: str, mark: str = "!") -> str:
    """Says it loudly."""
    return text.upper() + mark


def test_a_task_looks_like_its_function() -> None:
    made = task(shout)
    assert made.__name__ == "shout"
    assert made.__doc__ == "Says it loudly."
    assert made.func is shout


@pytest.mark.parametrize(
    ("fn", "given", "name"),
    [(shout, "loud", "loud"), (partial(shout, mark="?"), None, "shout"), (shout, None, "shout")],
)
def test_names(fn: Any, given: str | None, name: str) -> None:
    @entrypoint()
    def workflow(text: str) -> Any:
        return task(name=given)(fn)(text).result()

    assert [name for name in (next(iter(part)) for part in workflow.stream("a")) if name != "workflow"] == [name]


def test_what_a_task_asks_for_is_given_to_it() -> None:
    @task
    def step(
        text: str, *, config: RunnableConfig | None = None, writer: StreamWriter | None = None, runtime: Any = None
    ) -> Any:
        assert config is not None
        assert writer is not None
        writer(text)
        return config["configurable"]["who"], runtime.context

    @entrypoint()
    def workflow(text: str) -> Any:
        return step(text).result()

    chunks = [*workflow.stream("a", {"configurable": {"who": "she"}}, context="c", stream_mode=["custom", "updates"])]
    assert chunks == [("custom", "a"), ("updates", {"step": ("she", "c")}), ("updates", {"workflow": ("she", "c")})]


def test_what_the_caller_passes_is_not_replaced() -> None:
    @task
    def step(text: str, *, config: RunnableConfig | None = None) -> Any:
        return config

    @entrypoint()
    def workflow(text: str) -> Any:
        return step(text, config={"run_name": "mine"}).result()

    assert workflow.invoke("a") == {"run_name": "mine"}


def test_a_time_limit_needs_an_async_function() -> None:
    with pytest.raises(ValueError, match="'shout' is sync"):
        task(timeout=1)(shout)


def test_outside_a_run_there_is_nobody_to_run_it() -> None:
    with pytest.raises(RuntimeError, match="outside of a runnable context"):
        task(shout)("a")


def test_results_are_forgotten_by_function() -> None:
    cache: InMemoryCache[Any] = InMemoryCache()
    calls: list[str] = []

    @task(cache_policy=CachePolicy())
    def step(text: str) -> str:
        calls.append(text)
        return text

    @entrypoint(cache=cache)
    def workflow(text: str) -> Any:
        return step(text).result()

    workflow.invoke("a")
    workflow.invoke("a")
    task(shout).clear_cache(cache)
    workflow.invoke("a")
    assert calls == ["a"]
    step.clear_cache(cache)
    workflow.invoke("a")
    assert calls == ["a", "a"]


def test_older_names_warn() -> None:
    with pytest.warns(DeprecationWarning, match="`retry` is deprecated"):
        task(retry=None)(shout)
    with pytest.raises(TypeError, match="unexpected keyword argument 'tries'"):
        task(tries=3)
