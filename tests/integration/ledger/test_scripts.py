"""Scripts on a real server: sent by digest, sent again when the server lost them, timed by the server's own clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from distgraph.errors import StoreError
from distgraph.ledger.ledger import Ledger
from distgraph.ledger.replies import Address, Answer, Commit
from distgraph.ledger.scripts import Call, digests
from distgraph.ledger.server import EmbeddedServer

pytestmark = pytest.mark.integration

RUN = Address("r1", "r1")


@pytest.fixture
def ledger(server: EmbeddedServer, namespace: str) -> Iterator[Ledger]:
    opened = Ledger(server.url, namespace)
    yield opened
    opened.runs.control("cancel", RUN, "end")
    opened.runs.delete(RUN)
    opened.client.delete(opened.keys.line("r1"))
    opened.close()


def forget_scripts(ledger: Ledger) -> None:
    """As a restart does."""
    ledger.client.script_flush()


def test_scripts_are_loaded_once_and_called_by_digest(ledger: Ledger) -> None:
    ledger.scripts.load()
    assert all(ledger.client.script_exists(*digests().values()))


def test_a_server_that_lost_the_scripts_gets_them_again(ledger: Ledger) -> None:
    forget_scripts(ledger)
    assert ledger.runs.submit(RUN, "d", {}, due_ms=1000).kind == "new"
    forget_scripts(ledger)
    assert ledger.runs.submit(RUN, "d", {}, due_ms=1000).kind == "same"


def test_several_calls_survive_the_loss_too(ledger: Ledger) -> None:
    """What was done before the loss was noticed is repeated, and answers as the first time."""
    ledger.runs.submit(RUN, "d", {}, due_ms=1000)
    ledger.runs.claim(RUN, "slot", sweep_ms=1000)
    first, second = (
        ledger.runs.commit_call(Commit(RUN, "slot", 1, parent, new, "running"))
        for parent, new in (("", "c1"), ("c1", "c2"))
    )
    forget_scripts(ledger)
    assert ledger.runs.settle([first, second]) == [Answer("ok"), Answer("ok")]
    assert ledger.runs.read_line("r1", ["head"]) == [b"c2"]


def test_the_server_tells_the_time(ledger: Ledger) -> None:
    """In milliseconds, and no worker's clock is asked."""
    before = server_ms(ledger.client)
    ledger.runs.submit(RUN, "d", {}, due_ms=60_000)
    after = server_ms(ledger.client)
    assert before <= int(ledger.runs.record(RUN)["created"]) <= after
    swept = ledger.runs.sweep(ledger.keys.partition("r1"), most=10, push_ms=1000)
    assert after <= swept.now_ms <= server_ms(ledger.client)
    assert (swept.due, 0 < swept.next_ms <= 60_000) == ([], True)


def server_ms(client: redis.Redis) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000


def test_an_error_of_a_script_is_one_of_ours(ledger: Ledger) -> None:
    with pytest.raises(StoreError, match="answered with an error"):
        ledger.scripts.run(Call("sweep", (ledger.keys.due(0),), ("many", 0)))
