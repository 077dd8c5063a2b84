"""What a Redis saver decides without a server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, TypedDict

import pytest
import redis

from distgraph.checkpoint.redis import RedisSaver
from distgraph.errors import CodecError, ConfigError
from distgraph.types import Send
from distgraph.wire import Codec, TypeRegistry

pytestmark = pytest.mark.unit

#: Nobody answers there, and nobody is asked.
URL = "redis://127.0.0.1:1/0"


@dataclass
class Order:
    name: str


class State(TypedDict):
    orders: list[Order]


def test_a_saver_connects_when_it_is_first_used() -> None:
    with RedisSaver(URL), RedisSaver.from_conn_string(URL, namespace="mine"):
        pass


@pytest.mark.parametrize(
    ("url", "namespace"), [("http://x", "default"), ("redis://h:port", "default"), (URL, "a b"), (URL, "{x}")]
)
def test_what_is_no_address_or_namespace_is_refused_at_once(url: str, namespace: str) -> None:
    with pytest.raises(ConfigError):
        RedisSaver(url, namespace=namespace)


def test_a_client_that_decodes_its_replies_is_refused() -> None:
    with (
        redis.Redis.from_url(URL, decode_responses=True) as client,
        pytest.raises(ConfigError, match="decode_responses"),
    ):
        RedisSaver(client)


@pytest.mark.parametrize("config", [{}, {"configurable": {}}, {"configurable": {"thread_id": None}}])
def test_a_config_without_thread_is_refused(config: Any) -> None:
    with RedisSaver(URL) as saver:
        with pytest.raises(ConfigError, match="names no thread"):
            saver.get_tuple(config)
        with pytest.raises(ConfigError, match="names no checkpoint"):
            saver.put_writes(config, [("x", 1)], "task")


def test_a_type_nobody_named_is_refused_when_it_is_stored() -> None:
    """Not when it is read: by then the process that knew it may be gone."""
    with RedisSaver(URL) as saver:
        config = {"configurable": {"thread_id": "t", "checkpoint_id": "c"}}
        with pytest.raises(CodecError, match="Order"):
            saver.put_writes(config, [("orders", [Order("tea")])], "task")
        assert saver.with_types([State]) is saver
        order = [Order("tea")]
        assert saver.serde.loads_typed(saver.serde.dumps_typed(order)) == order


def test_a_class_that_is_defined_again_takes_over() -> None:
    """A notebook's cell that is run again: what is stored is read as the class that is there now."""

    def defined() -> type:
        @dataclass
        class Again:
            x: int

        return Again

    first, second = defined(), defined()
    with RedisSaver(URL) as saver:
        stored = saver.with_types([first]).codec.encode(first(1))
        assert saver.with_types([second]).codec.decode(stored) == second(1)
        assert saver.codec.decode(saver.codec.encode(first(2))) == second(2)


def test_types_of_a_codec_are_kept_and_the_codec_is_left_alone() -> None:
    registry = TypeRegistry()
    registry.add(Order)
    given = Codec(registry, max_bytes=1000)
    with RedisSaver(URL, codec=given) as saver:
        assert saver.codec.decode(given.encode(Order("tea"))) == Order("tea")
        assert saver.codec.decode(saver.codec.encode(Send("node", 1))) == Send("node", 1)
        assert saver.codec.max_bytes == 1000
    assert Send not in registry


def test_a_subclass_sees_every_call() -> None:
    """``put_all`` is a shortcut past ``put`` and ``put_writes``; who overrides one of them is not passed by."""
    seen: list[str] = []

    class Watching(RedisSaver):
        def put(self, *args: Any) -> Any:
            seen.append("put")

        def put_writes(self, *args: Any) -> None:
            seen.append("put_writes")

    class Awaiting(RedisSaver):
        async def aput(self, *args: Any) -> Any:
            seen.append("aput")

        async def aput_writes(self, *args: Any) -> None:
            seen.append("aput_writes")

    calls = [("put_writes", (1, 2, 3)), ("put", (1, 2, 3, 4))]
    with Watching(URL) as watching, Awaiting(URL) as awaiting:
        watching.put_all(calls)
        asyncio.run(watching.aput_all(calls))
        asyncio.run(awaiting.aput_all(calls))
    assert seen == ["put_writes", "put", "put_writes", "put", "aput_writes", "aput"]


def test_graphs_without_a_server_do_not_load_its_client() -> None:
    code = "import sys, distgraph, distgraph.checkpoint.memory; sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
