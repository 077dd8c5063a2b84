"""Programs as people write them, on the peer and here, in either engine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.differential.awaited import Awaited
from tests.differential.harness import OURS, PEER, Api, observe
from tests.graphs.practice import PROGRAMS

pytestmark = pytest.mark.differential


def seen(api: Api, name: str, *, awaited: bool) -> Any:
    make, use = PROGRAMS[name]

    def program(api: Api) -> Any:
        store, cache = api.module("store.memory").InMemoryStore(), api.module("cache.memory").InMemoryCache()
        app = make(api).compile(checkpointer=api.InMemorySaver(), store=store, cache=cache)
        return use(Awaited(app) if awaited else app, api)

    return observe(program, api)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("awaited", [False, True], ids=["sync", "async"])
def test_a_program_moves_by_its_imports_alone(name: str, awaited: bool) -> None:
    assert seen(OURS, name, awaited=awaited) == seen(PEER, name, awaited=awaited)
