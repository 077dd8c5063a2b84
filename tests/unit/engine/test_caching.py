"""Node results that are used again, in both engines."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.cache.memory import InMemoryCache
from distgraph.engine.caching import cache_namespace, digest_of_key
from distgraph.types import CachePolicy, Send
from tests.unit.engine.engines import ENGINES, in_color, run
from tests.unit.engine.small import ask, line, small

GIVEN = {"n": 1, "log": []}


def counted(engine: str, ran: list[Any]) -> Any:
    def node(state: Any) -> Any:
        ran.append(state["n"])
        return {"log": ["ran"]}

    return in_color(engine, node)


@ENGINES
def test_a_policy_without_a_cache_changes_nothing(engine: str) -> None:
    ran: list[Any] = []
    program = small({"a": counted(engine, ran)}, settings={"a": {"cache": CachePolicy()}})
    for _ in range(2):
        run(engine, ask(program, GIVEN))
    assert ran == [1, 1]


@ENGINES
def test_equal_tasks_of_one_superstep_share_a_result_that_is_there(engine: str) -> None:
    ran: list[Any] = []
    program = small(
        {"fan": lambda state: None, "a": counted(engine, ran)},
        settings={"a": {"cache": CachePolicy()}},
        branches={"fan": lambda state: [Send("a", {"n": n, "log": []}) for n in (1, 1, 2)]},
    )
    cache: Any = InMemoryCache()
    for _ in range(2):
        result = run(engine, ask(program, GIVEN, cache=cache))
        assert result.value["log"] == ["ran"] * 3
    assert sorted(ran) == [1, 1, 2]


@ENGINES
def test_a_result_is_kept_for_its_time(engine: str) -> None:
    ran: list[Any] = []
    now = [0.0]
    cache: Any = InMemoryCache(clock=lambda: now[0])
    program = small({"a": counted(engine, ran)}, settings={"a": {"cache": CachePolicy(ttl=10)}})
    for seconds in (0.0, 9.0, 11.0, 12.0):
        now[0] = seconds
        run(engine, ask(program, GIVEN, cache=cache))
    assert ran == [1, 1]


@ENGINES
def test_a_key_func_that_fails_names_the_task(engine: str) -> None:
    policy: CachePolicy[Any] = CachePolicy(key_func=lambda state: state["absent"])
    program = small({"a": counted(engine, [])}, settings={"a": {"cache": policy}})
    with pytest.raises(KeyError) as caught:
        run(engine, ask(program, GIVEN, cache=InMemoryCache()))
    assert any("'a'" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("key", [1, None, ["a"]])
def test_a_key_is_text_or_bytes(key: Any) -> None:
    with pytest.raises(TypeError, match="must return str or bytes"):
        digest_of_key(key)
    assert digest_of_key("a") != digest_of_key(b"a")


def test_the_namespace_names_graph_function_and_node() -> None:
    program = line("a", "b", a=counted)
    named = cache_namespace(program, program.nodes["a"])
    assert named == ("__pregel_ns_writes", program.fingerprint, f"{__name__}.counted", "a")
    other = line("a", a=GIVEN.get)
    assert cache_namespace(other, other.nodes["a"])[2].endswith("dict.get")
