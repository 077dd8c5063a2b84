"""The way to the broker, where nobody is at its end."""

from __future__ import annotations

import pytest

from distgraph.cluster.celery.dispatcher import CeleryDispatcher
from distgraph.cluster.hints import BatchHint
from distgraph.errors import ConfigError, ServerUnreachableError
from tests.servers import free_port

pytestmark = pytest.mark.unit

HINT = BatchHint("b", "g", "f")


@pytest.fixture
def nowhere() -> str:
    return f"redis://127.0.0.1:{free_port()}/0"


def test_a_broker_of_its_own_that_is_away_holds_up_nobody(nowhere: str, caplog: pytest.LogCaptureFixture) -> None:
    dispatcher = CeleryDispatcher("redis://127.0.0.1:1/0", "n", nowhere)
    dispatcher.publish([HINT])
    assert (dispatcher.reachable(), dispatcher.waiting(), dispatcher.expected()) == (False, 0, None)
    assert [nowhere in record.getMessage() for record in caplog.records] == [True]
    dispatcher.close()


@pytest.mark.parametrize("same", [True, False])
def test_where_it_is_the_ledgers_server_an_outage_is_the_ledgers(nowhere: str, same: bool) -> None:
    dispatcher = CeleryDispatcher(nowhere, "n", nowhere if same else "")
    assert dispatcher.reachable(), "nothing is asked"
    with pytest.raises(ServerUnreachableError):
        dispatcher.publish([HINT])
    with pytest.raises(ServerUnreachableError):
        dispatcher.waiting()
    dispatcher.close()


def test_another_kind_of_broker_is_refused() -> None:
    with pytest.raises(ConfigError, match="amqp is not supported"):
        CeleryDispatcher("redis://h/0", "n", "amqp://h//")
