"""What a transformer may leave out, and where it works."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from distgraph.stream.events import make_event
from distgraph.stream.transformer import StreamTransformer, needs_loop

pytestmark = pytest.mark.unit


class Bare(StreamTransformer):
    def init(self) -> dict[str, Any]:
        return {}


class Waiting(Bare):
    async def aprocess(self, event: Any) -> bool:
        return True


class Both(Waiting):
    supports_sync = True


class Insisting(Both):
    requires_async = True


def test_init_must_be_there() -> None:
    with pytest.raises(TypeError, match="abstract"):
        StreamTransformer()  # type: ignore[abstract]


def test_process_must_be_there() -> None:
    with pytest.raises(NotImplementedError, match=r"Bare must override process\(\) or aprocess\(\)"):
        Bare().process(make_event("custom", 1, []))


def test_the_rest_may_be_left_out() -> None:
    async def program() -> None:
        await Bare().afinalize()
        await Bare().afail(ValueError())

    asyncio.run(program())


@pytest.mark.parametrize(("kind", "needs"), [(Bare, False), (Waiting, True), (Both, False), (Insisting, True)])
def test_who_needs_a_loop(kind: type[StreamTransformer], needs: bool) -> None:
    assert needs_loop(kind()) is needs


def test_work_beside_the_run_needs_a_loop() -> None:
    async def work() -> None:
        pass

    with pytest.raises(RuntimeError, match=r"Bare.schedule\(\) requires a running event loop"):
        Bare().schedule(work())


def test_what_has_been_done_is_not_kept() -> None:
    """A run may be long, and something be scheduled at every event of it."""

    async def work() -> None:
        pass

    async def program() -> set[Any]:
        transformer = Bare()
        await asyncio.wait([transformer.schedule(work()) for _ in range(3)])
        return transformer.scheduled

    assert asyncio.run(program()) == set()
