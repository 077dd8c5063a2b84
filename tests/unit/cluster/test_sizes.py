"""What is too large is refused by name, and nothing of it is stored."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest

from distgraph import END, START, StateGraph
from distgraph.cluster import sizes
from distgraph.errors import StateTooLargeError
from distgraph.types import Placement
from tests.unit.cluster.small import cluster_of

pytestmark = pytest.mark.unit


class Big(TypedDict, total=False):
    a: bytes
    b: bytes
    c: bytes


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousandth of the real ones: what counts is on which side of them something is."""
    monkeypatch.setattr(sizes, "VALUE", 8 << 10)
    monkeypatch.setattr(sizes, "WRITES", 16 << 10)
    monkeypatch.setattr("distgraph.cluster.lane.WRITES", 16 << 10)
    monkeypatch.setattr("distgraph.cluster.slices.VALUE", 8 << 10)
    monkeypatch.setattr(sizes, "STATE", 20 << 10)


def grows(**update: int) -> Any:
    def node(state: Big) -> Any:
        return {key: b"x" * size for key, size in update.items()}

    return StateGraph(Big).add_node("grow", node).add_edge(START, "grow").add_edge("grow", END).compile(name="big")


def overhead(graph: Any) -> int:
    """Bytes around the bytes of a value of about the limit."""
    codec = cluster_of(graph).registry.get("big").codec
    return len(codec.encode(b"x" * 8000)) - 8000


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_value_may_be_as_large_as_the_limit(more: int) -> None:
    graph = grows(a=0)
    size = (8 << 10) - overhead(graph) + more
    graph = grows(a=size)
    cluster = cluster_of(graph)
    if more <= 0:
        assert len(cluster.bind(graph).invoke({"b": b""})["a"]) == size
        return
    with pytest.raises(StateTooLargeError, match=r"The value of key 'a' takes 0\.01 MiB; a value may take"):
        cluster.bind(graph).invoke({"b": b""})
    batch = cluster.submit_batch(graph, [{"b": b""}])
    cluster.run_until_idle()
    [failure] = batch.failures()
    assert failure.error is not None
    assert failure.error["code"] == "STATE_TOO_LARGE"


def test_a_state_may_not_grow_beyond_its_limit() -> None:
    graph = grows(a=7000, b=7000)
    cluster = cluster_of(graph)
    with pytest.raises(StateTooLargeError, match=r"The state takes .* The largest: key '[abc]' with"):
        cluster.bind(graph).invoke({"c": b"x" * 7000})


def test_what_a_task_writes_may_not_either() -> None:
    graph = grows(a=7000, b=7000, c=7000)
    with pytest.raises(StateTooLargeError, match="What a node returned takes"):
        cluster_of(graph).bind(graph, placement="spread").invoke({"a": b""})


@pytest.mark.parametrize("placement", ["auto", "spread"])
def test_an_input_may_not_either(placement: Placement) -> None:
    graph = grows(a=1)
    cluster = cluster_of(graph)
    with pytest.raises(StateTooLargeError, match="The input takes"):
        cluster.bind(graph, placement=placement).submit({"b": b"x" * (17 << 10)})
    with pytest.raises(StateTooLargeError, match="The item takes") as failed:
        cluster.submit_batch(graph, [{"b": b""}, {"b": b"x" * (17 << 10)}])
    assert "Item 1 of the batch" in str(failed.value.__notes__)


def test_the_real_limits() -> None:
    import importlib

    real = importlib.reload(sizes)
    assert (real.VALUE, real.WRITES, real.STATE) == (8 << 20, 16 << 20, 64 << 20)
