"""Addresses are read strictly, and no message repeats a password."""

from __future__ import annotations

import pytest

from distgraph.errors import ConfigError
from distgraph.ledger.url import ServerURL, parse_url, redact

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost", ServerURL("redis", "localhost")),
        ("redis://localhost/", ServerURL("redis", "localhost")),
        ("redis://10.0.0.7:6380/3", ServerURL("redis", "10.0.0.7", 6380, db=3)),
        ("redis://host?db=3", ServerURL("redis", "host", db=3)),
        ("redis://my_redis:6379/0", ServerURL("redis", "my_redis")),
        ("redis://[::1]:7000/0", ServerURL("redis", "::1", 7000)),
        ("redis://:secret@host", ServerURL("redis", "host", password="secret")),
        ("redis://worker:p%40s%3As%2F%23%25@host", ServerURL("redis", "host", username="worker", password="p@s:s/#%")),
        (
            "rediss://host:6390/0?ssl_ca_certs=/etc/ca.pem&ssl_check_hostname=False",
            ServerURL("rediss", "host", 6390, options={"ssl_ca_certs": "/etc/ca.pem", "ssl_check_hostname": "false"}),
        ),
        ("unix:///run/a%20b/redis.sock?db=2", ServerURL("unix", path="/run/a b/redis.sock", db=2)),
        ("unix://:secret@/run/redis.sock", ServerURL("unix", path="/run/redis.sock", password="secret")),
    ],
)
def test_good_addresses(url: str, expected: ServerURL) -> None:
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        (None, "not NoneType"),
        (b"redis://host", "not bytes"),
        ("redis://host name", "white space"),
        ("redis://host\n", "white space"),
        ("http://host:6379", "Did you mean redis://"),
        ("valkeys://host", "Did you mean rediss://"),
        ("redis+socket:///run/r.sock", "Did you mean unix://"),
        ("foo://host", "not one of redis, rediss, unix"),
        ("sentinel://host:26379", "Give the address of the primary"),
        ("redis:/host", "does not begin with redis://"),
        ("localhost:6379", "Did you mean redis://localhost:6379?"),
        ("redis://", "must name one host"),
        ("redis:///0", "must name one host"),
        ("redis://:6379/0", "must name one host"),
        ("redis://a,b:6379/0", "must name one host"),
        ("redis://host:0/0", "1 to 65535"),
        ("redis://host:70000/0", "1 to 65535"),
        ("redis://host:abc/0", "1 to 65535"),
        ("redis://host:/0", "1 to 65535"),
        ("redis://[::1/0", "malformed"),
        ("redis://host/-1", "database must be a number"),
        ("redis://host/abc", "database must be a number"),
        ("redis://host/0/1", "database must be a number"),
        ("redis://host?db=x", "database must be a number"),
        ("redis://host/1?db=2", "database twice"),
        ("redis://host?timeout=5", "option 'timeout' is unknown; known are db"),
        ("redis://host?ssl_cert_reqs=none", "TLS options need rediss://"),
        ("rediss://host?ssl_cert_reqs=maybe", "required or optional or none"),
        ("rediss://host?ssl_ca_certs=", "must be set to something"),
        ("redis://host?db=1&db=2", "given twice"),
        ("redis://host#0", "has a #"),
        ("unix://run/redis.sock", "absolute path"),
        ("unix:///", "absolute path"),
    ],
)
def test_bad_addresses_say_what_is_wrong(url: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(url)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hun@ter2@host:6379/0",
        "redis://:hun:ter2@host:6379/0",
        "redis://user:hun:ter2@host",
        "redis://:hun/ter2@host:6379/0",
        "redis://:hun#ter2@host:6379/0",
        "redis://:hun?ter2@host:6379/0",
        "redis://:hun%ter2@host:6379/0",
        "redis://:hun[ter2@host:6379/0",
        "redis://user:hun]ter2@host",
        "redis://hunter2@host:6379/0",
        "redis://:hun ter2@host:6379/0",
        "htp://:hunter2@host",
        "redis:/:hunter2@host",
        "redis://:hunter2@host:99999",
        "redis://:hunter2@host?nonsense=1",
        "redis://:hun\u2100ter2@ho\u2100st",
        "redis://:hunter2",
        "redis://user:hunter2/0",
    ],
)
def test_a_password_is_never_repeated(url: str) -> None:
    """Neither in the text nor in the chain of causes, however broken the address is."""
    with pytest.raises(ConfigError) as caught:
        parse_url(url)
    assert "ter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_unescaped_characters_are_explained() -> None:
    with pytest.raises(ConfigError, match="percent-encoded"):
        parse_url("redis://:hun/ter2@host:6379/0")


def test_the_text_of_an_address_can_be_shown() -> None:
    server = parse_url("redis://worker:hunter2@host:6380/1")
    assert str(server) == "redis://worker:***@host:6380/1"
    assert "hunter2" not in repr(server)
    assert str(parse_url("unix://:hunter2@/run/r.sock")) == "unix://:***@/run/r.sock?db=0"
    assert str(parse_url("redis://[::1]")) == "redis://[::1]:6379/0"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://worker:hunter2@host/0", "redis://worker:***@host/0"),
        ("redis://:hun@t/er2@host/0", "redis://:***@host/0"),
        ("redis://hunter2@host/0", "redis://***@host/0"),
        ("Cannot reach rediss://:hunter2@host:1/0, or unix:///x?password=hunter2.", None),
        (
            "redis://host:6379/0 is local; write to me@example.org",
            "redis://host:6379/0 is local; write to me@example.org",
        ),
    ],
)
def test_redaction(text: str, shown: str | None) -> None:
    assert "hunter2" not in redact(text)
    if shown is not None:
        assert redact(text) == shown


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("redis://127.0.0.1", True),
        ("redis://127.8.0.1", True),
        ("redis://localhost", True),
        ("redis://[::1]", True),
        ("unix:///r.sock", True),
        ("redis://10.0.0.1", False),
        ("redis://redis", False),
    ],
)
def test_what_counts_as_local(url: str, local: bool) -> None:
    assert parse_url(url).is_local is local


@pytest.mark.parametrize(
    ("query", "verifies"),
    [
        ("", True),
        ("?ssl_cert_reqs=required", True),
        ("?ssl_cert_reqs=none", False),
        ("?ssl_check_hostname=false", False),
    ],
)
def test_whether_the_certificate_is_verified(query: str, verifies: bool) -> None:
    assert parse_url(f"rediss://host{query}").verifies is verifies
