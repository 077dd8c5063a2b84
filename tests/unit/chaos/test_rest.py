"""What asks whether the ledger is at rest, while the server is away."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from distgraph.chaos.rest import crashes, keys_of, unrest
from distgraph.cluster import Cluster
from distgraph.errors import StoreError
from distgraph.ledger.connection import connect
from distgraph.ledger.keys import Keys


@pytest.mark.parametrize("ask", [unrest, lambda cluster: crashes(cluster, "b"), lambda cluster: keys_of(cluster, "b")])
def test_a_server_that_is_away_is_one_of_our_errors(ask: Callable[[Cluster], Any]) -> None:
    """Those who wait for rest ask again after these, and after no others."""
    client = connect("redis://127.0.0.1:1/0")
    nowhere = cast(Cluster, SimpleNamespace(ledger=SimpleNamespace(client=client, keys=Keys("chaos"))))
    with pytest.raises(StoreError):
        ask(nowhere)
