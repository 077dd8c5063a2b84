"""Celery's settings: it is told of the same server, and to look at it as closely, as the ledger's own client."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from distgraph.cluster.celery.config import settings
from distgraph.errors import ConfigError

pytestmark = pytest.mark.unit


def connection(url: str) -> Any:
    app = Celery("t", set_as_current=False)
    app.conf.update(settings(url, "n"))
    return app.connection_for_write()


@pytest.mark.parametrize(
    ("url", "host", "port", "database", "user", "password"),
    [
        ("redis://h:6380/2", "h", 6380, "2", None, None),
        ("redis://h", "h", 6379, "0", None, None),
        ("redis://h?db=3", "h", 6379, "3", None, None),
        ("redis://:a%3Bb%40%2F@h:1/0", "h", 1, "0", None, "a;b@/"),
        ("redis://us%20er:p@[::1]:7/0", "::1", 7, "0", "us er", "p"),
    ],
)
def test_an_address_means_the_same(
    url: str, host: str, port: int, database: str, user: str | None, password: str | None
) -> None:
    with connection(url) as made:
        assert (made.hostname, made.port, made.virtual_host) == (host, port, database)
        assert (made.userid, made.password, bool(made.ssl)) == (user, password, False)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {"ssl_cert_reqs": "required", "ssl_check_hostname": True}),
        (
            "?ssl_ca_certs=/ca.pem&ssl_certfile=/c&ssl_keyfile=/k",
            {
                "ssl_cert_reqs": "required",
                "ssl_check_hostname": True,
                "ssl_ca_certs": "/ca.pem",
                "ssl_certfile": "/c",
                "ssl_keyfile": "/k",
            },
        ),
        ("?ssl_check_hostname=false", {"ssl_cert_reqs": "required", "ssl_check_hostname": False}),
        ("?ssl_cert_reqs=none", {"ssl_cert_reqs": "none", "ssl_check_hostname": False}),
    ],
)
def test_certificates_are_verified_unless_the_address_says_otherwise(options: str, expected: dict[str, Any]) -> None:
    """Kombu by itself verifies none."""
    with connection(f"rediss://:secret@h:1/2{options}") as made:
        assert (made.ssl, made.virtual_host, made.password) == (expected, "2", "secret")


def test_an_address_that_kombu_has_no_way_to_is_refused_in_our_words() -> None:
    with pytest.raises(ConfigError, match="amqp is not supported"):
        settings("amqp://h//", "n")
