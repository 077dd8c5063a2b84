"""The shapes in which chunks are handed out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from distgraph.errors import ConfigError
from distgraph.graph.chunks import (
    Shape,
    ashaped,
    check_durability,
    modes_of,
    shaped,
    split_interrupts,
    with_interrupts,
)

pytestmark = pytest.mark.unit

CHUNK = (("sub:1",), "updates", {"a": 1})
UPDATES = frozenset({"updates"})


@pytest.mark.parametrize(
    ("shape", "part"),
    [
        (Shape(UPDATES), {"a": 1}),
        (Shape(UPDATES, tagged=True), ("updates", {"a": 1})),
        (Shape(UPDATES, subgraphs=True), (("sub:1",), {"a": 1})),
        (Shape(UPDATES, tagged=True, subgraphs=True), (("sub:1",), "updates", {"a": 1})),
        (Shape(UPDATES, parts=True), {"type": "updates", "ns": ("sub:1",), "data": {"a": 1}}),
    ],
)
def test_a_chunk_in_every_shape(shape: Shape, part: Any) -> None:
    assert list(shape(CHUNK)) == [part]


def test_chunks_of_modes_nobody_asked_for_are_left_out() -> None:
    assert list(Shape(frozenset({"values"}))(CHUNK)) == []


def test_printed_modes_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(Shape(frozenset(), printed=UPDATES)(CHUNK)) == []
    assert capsys.readouterr().out == "[updates] {'a': 1}\n"
    list(Shape(UPDATES, printed=UPDATES, subgraphs=True)(CHUNK))
    assert capsys.readouterr().out == "[updates] [graph=('sub:1',)] {'a': 1}\n"


def test_a_values_part_has_its_questions_apart_and_its_data_built() -> None:
    shape = Shape(frozenset({"values"}), parts=True, output=lambda values: sorted(values))
    (part,) = shape(((), "values", {"b": 1, "a": 2, "__interrupt__": ("question",)}))
    assert part == {"type": "values", "ns": (), "data": ["a", "b"], "interrupts": ("question",)}


@pytest.mark.parametrize("wrapped", [False, True])
def test_checkpoints_show_the_built_state_except_before_the_start(wrapped: bool) -> None:
    """Before START ran, required keys are missing: the instance could not be built."""

    def part_of(payload: dict[str, Any]) -> Any:
        shape = Shape(frozenset({"debug"}), parts=True, state=lambda values: "built")
        sent = {"type": "checkpoint", "payload": payload} if wrapped else payload
        (part,) = shape(((), "debug", sent))
        return part["data"]["payload"] if wrapped else part["data"]

    assert part_of({"values": {"a": 1}, "next": ("n",)})["values"] == "built"
    assert part_of({"values": {"a": 1}, "next": ("__start__",)})["values"] == {"a": 1}


@pytest.mark.parametrize("modes", ["value", ["updates", "vals"], ("x",)])
def test_an_unknown_mode_is_an_error_because_its_stream_would_stay_empty(modes: Any) -> None:
    with pytest.raises(ConfigError, match="Unknown stream mode"):
        modes_of(modes)


def test_durabilities_are_checked() -> None:
    assert check_durability(None) is None
    assert check_durability("exit") == "exit"
    with pytest.raises(ConfigError, match="Did you mean 'sync'"):
        check_durability("synch")


def test_results_carry_questions_under_their_key() -> None:
    assert with_interrupts({"a": 1}, ()) == {"a": 1}
    assert with_interrupts({"a": 1}, ("q",)) == {"a": 1, "__interrupt__": ["q"]}
    assert with_interrupts(5, ("q",)) == {"__interrupt__": ["q"]}
    assert split_interrupts({"a": 1, "__interrupt__": ("q",)}) == ({"a": 1}, ("q",))
    assert split_interrupts(5) == (5, ())


def refuses(values: Any) -> Any:
    raise ValueError("not such values")


@pytest.mark.parametrize("is_async", [False, True])
def test_a_run_ends_with_whoever_fails_to_show_it(is_async: bool) -> None:
    """Also while the failure is kept, and with it all that its frames hold."""
    ended: list[str] = []
    shape = Shape(frozenset({"values"}), parts=True, output=refuses)
    chunk: Any = ((), "values", {"a": 1})

    def chunks() -> Iterator[Any]:
        try:
            yield chunk
        finally:
            ended.append("sync")

    async def achunks() -> AsyncIterator[Any]:
        try:
            yield chunk
        finally:
            ended.append("async")

    async def read() -> None:
        async for _ in ashaped(achunks(), shape):
            pass

    with pytest.raises(ValueError, match="not such values") as kept:
        asyncio.run(read()) if is_async else list(shaped(chunks(), shape))
    assert kept.value.__traceback__ is not None
    assert ended == ["async" if is_async else "sync"]
