"""A broker on a server of its own, before anything is asked of it."""

from __future__ import annotations

import pytest

from distgraph.errors import ConfigError
from distgraph.ledger.broker import check_broker
from tests.servers import free_port

pytestmark = pytest.mark.unit

LEDGER = "redis://127.0.0.1:1/0"


@pytest.mark.parametrize("url", ["", LEDGER])
def test_without_a_server_of_its_own_there_is_nothing_to_see(url: str, caplog: pytest.LogCaptureFixture) -> None:
    check_broker(url, LEDGER)
    assert caplog.text == ""


def test_one_that_is_away_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    check_broker(f"redis://:hush@127.0.0.1:{free_port()}/0", LEDGER)
    assert "the broker is away" in caplog.text
    assert "hush" not in caplog.text


@pytest.mark.parametrize("kind", ["amqp", "AMQPS", "pyamqp", "sqs"])
def test_another_kind_is_refused(kind: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_broker(f"{kind}://user:hush@host//", LEDGER)
    assert "not supported" in str(caught.value)
    assert "redis://" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="the scheme 'http' is not one of"):
        check_broker("http://host", LEDGER)


def test_an_address_is_a_text() -> None:
    with pytest.raises(ConfigError, match="must be a text, not int"):
        check_broker(6379, LEDGER)  # type: ignore[arg-type]
