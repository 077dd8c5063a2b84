"""Nodes put together channel by channel."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from distgraph.errors import InvalidUpdateError
from distgraph.graph.node_builder import SKIP_WRITE, NodeBuilder
from distgraph.types import CachePolicy, RetryPolicy, TimeoutPolicy

pytestmark = pytest.mark.unit


def test_a_node_of_one_channel_takes_its_value() -> None:
    node = NodeBuilder().subscribe_only("a").build("n")
    assert (node.triggers, node.reads, node.action) == (("a",), "a", None)


def test_a_node_of_several_channels_takes_a_dict_of_what_it_reads() -> None:
    node = NodeBuilder().subscribe_to("a", "b").subscribe_to("quiet", read=False).read_from("c").build("n")
    assert node.triggers == ("a", "b", "quiet")
    assert node.reads == ("a", "b", "c")


@pytest.mark.parametrize(
    "change",
    [
        lambda node: node.subscribe_only("b"),
        lambda node: node.subscribe_to("b"),
        lambda node: node.read_from("b"),
    ],
)
def test_a_single_channel_stays_single(change: Any) -> None:
    with pytest.raises(ValueError, match="subscribed"):
        change(NodeBuilder().subscribe_only("a"))


def test_writes_are_the_result_a_fixed_value_or_what_a_function_makes_of_it() -> None:
    node = NodeBuilder().write_to("a", "b", fixed=5, twice=lambda x: 2 * x, none=lambda x: SKIP_WRITE).build("n")
    assert node.writer(3) == [("a", 3), ("b", 3), ("fixed", 5), ("twice", 6)]


def test_the_channel_of_sends_is_not_written_by_hand() -> None:
    with pytest.raises(InvalidUpdateError, match="reserved channel TASKS"):
        NodeBuilder().write_to("__pregel_tasks").build("n")


def test_several_actions_are_one_after_the_other() -> None:
    async def later(value: int) -> int:
        return value * 10

    sync = NodeBuilder().do(lambda x: x + 1).do(lambda x: x * 2).build("n").action
    assert sync.call(1, None) == 4
    assert (sync.is_async, sync.sync_ok) == (False, True)
    mixed = NodeBuilder().do(lambda x: x + 1).do(later).build("n").action
    assert asyncio.run(mixed.acall(1, None)) == 20
    assert (mixed.is_async, mixed.sync_ok) == (True, False)


def test_policies_are_the_nodes_own_or_else_its_graphs() -> None:
    own, of_graph = RetryPolicy(max_attempts=5), RetryPolicy()
    cache: CachePolicy[Any] = CachePolicy()
    builder = NodeBuilder().set_timeout(3).meta("tag", owner="me").add_cache_policy(cache)
    assert builder.build("n", [of_graph]).retry == (of_graph,)
    node = builder.add_retry_policies(own).build("n", [of_graph], CachePolicy(ttl=1))
    assert node.retry == (own,)
    assert node.cache is cache
    assert node.timeout == TimeoutPolicy(run_timeout=3.0)
    assert (node.tags, node.metadata) == (("tag",), {"owner": "me"})
