"""Server addresses: read strictly, never shown with their password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from distgraph.errors import ConfigError

EXAMPLE = "redis://:password@host:6379/0"
DEFAULT_PORT = 6379

_FORMS = f"Write {EXAMPLE}, rediss://... with TLS, or unix:///path/to/socket?db=0."
_QUOTING = (
    "If the user name or password holds one of @ : / ? # % [ ], write it percent-encoded "
    "(@ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25)."
)
#: schemes people type for the ones that exist
_MEANT = {
    "valkey": "redis://",
    "valkeys": "rediss://",
    "redis+tls": "rediss://",
    "redis+socket": "unix://",
    "http": "redis://",
    "https": "rediss://",
    "tcp": "redis://",
}
#: schemes of Celery's other brokers
_OTHER_BROKERS = (
    "amqp",
    "amqps",
    "pyamqp",
    "librabbitmq",
    "sqs",
    "kafka",
    "confluentkafka",
    "gcpubsub",
    "memory",
    "mongodb",
)
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
_CHOICES = {"ssl_cert_reqs": ("required", "optional", "none"), "ssl_check_hostname": ("true", "false")}
_CREDENTIALS = re.compile(r"([A-Za-z][\w+.-]{0,30}://)(?:([^\s:/@]*):)?\S*@")
_PASSWORD_OPTION = re.compile(r"(?i)\b(password=)[^\s&]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:/{1,2}")
_NOT_A_PORT = re.compile(r"(://[^:/]*:)(?!\d{0,5}(?:[/?]|$))[^/]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class ServerURL:
    """One address, taken apart. Its text form is safe to show: it has no password.

    ``path`` is set for unix sockets, ``host`` and ``port`` for all others; ``options`` holds the ``ssl_*`` options.
    """

    scheme: str
    host: str = ""
    port: int = DEFAULT_PORT
    path: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """True where only processes of this machine can reach the address."""
        return self.scheme == "unix" or self.host in ("localhost", "::1") or self.host.startswith("127.")

    @property
    def verifies(self) -> bool:
        """False if TLS is used without verifying all of the server's certificate."""
        off = self.options.get("ssl_cert_reqs") in ("none", "optional")
        return not off and self.options.get("ssl_check_hostname") != "false"

    @property
    def tls(self) -> dict[str, Any]:
        """What a client is told of TLS, nothing of it left to its own ideas; empty where there is none."""
        if self.scheme != "rediss":
            return {}
        told: dict[str, Any] = {"ssl_cert_reqs": "required", **self.options}
        told["ssl_check_hostname"] = (
            self.options.get("ssl_check_hostname") != "false" and told["ssl_cert_reqs"] != "none"
        )
        return told

    @property
    def kombu(self) -> str:
        """The address, password included, as Kombu writes it: it knows neither ``unix://`` nor ``?db=``."""
        login = f"{quote(self.username or '', safe='')}:{quote(self.password, safe='')}@" if self.password else ""
        if self.scheme == "unix":
            return f"redis+socket://{login}{quote(self.path)}?virtual_host={self.db}"
        return f"{self.scheme}://{login}{self._place}"

    def __str__(self) -> str:
        secret = ":***@" if self.password is not None else ""
        user = quote(self.username, safe="") if self.username and secret else ""
        if self.scheme == "unix":
            return f"unix://{user}{secret}{quote(self.path)}?db={self.db}"
        return f"{self.scheme}://{user}{secret}{self._place}"

    @property
    def _place(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}/{self.db}"


def redact(text: str) -> str:
    """``text`` with the password of every address in it replaced by ``***``; malformed addresses too."""
    # Most texts hold neither, and to look for what could be one takes hundreds of times as long.
    if "://" in text and "@" in text:
        text = _CREDENTIALS.sub(_masked, text)
    if "password=" in text.lower() or not text.isascii():
        text = _PASSWORD_OPTION.sub(r"\1***", text)
    return text


def _masked(found: re.Match[str]) -> str:
    # without a colon the name may itself be the password
    name = found[2]
    return f"{found[1]}{name}:***@" if name is not None else f"{found[1]}***@"


def parse_url(url: str) -> ServerURL:
    """Read an address.

    Raises:
        ConfigError: anything in it is not understood; the text shows the form, never the password.
    """
    if not isinstance(url, str):
        raise ConfigError(f"The server URL must be a text, not {type(url).__name__}. {_FORMS}")
    if not url.strip():
        raise ConfigError(f"The server URL is empty. {_FORMS} The variable DISTGRAPH_URL sets it for a whole process.")
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        _refuse(url, f"it holds white space or control characters. {_FORMS}")
    parts = _split(url)
    if parts.scheme == "unix":
        return _unix(url, parts)
    return _tcp(url, parts)


def parse_broker_url(url: str) -> ServerURL:
    """Read the address of a broker that is not the ledger's server.

    Raises:
        ConfigError: as ``parse_url``, or it is a broker of another kind.
    """
    kind = url.partition("://")[0].lower() if isinstance(url, str) else ""
    if kind in _OTHER_BROKERS:
        raise ConfigError(
            f"The broker URL {_shown(url)!r} is wrong: {kind} is not supported, for hints wait in lists of Redis or Valkey. "
            f"{_FORMS} Without a broker URL they wait on the ledger's server."
        )
    return parse_url(url)


def _refuse(url: str, why: str) -> NoReturn:
    # from None: the errors of urllib repeat parts of the address, which may be the password
    raise ConfigError(f"The server URL {_shown(url)!r} is wrong: {why}") from None


def _shown(url: str) -> str:
    """``url`` for an error: nothing that may have been meant as a password is left, however broken the address."""
    before, at, host = url.rpartition("@")
    if at:
        scheme = _SCHEME.match(before)
        return f"{scheme[0] if scheme else ''}***@{host}"
    return _NOT_A_PORT.sub(r"\1***", url)


def _split(url: str) -> SplitResult:
    scheme, separator, rest = url.partition("://")
    if not separator:
        hint = f" Did you mean redis://{url}?" if re.fullmatch(r"[\w.-]+:\d{1,5}(/\d+)?", url) else ""
        _refuse(url, f"it does not begin with redis://, rediss:// or unix://.{hint or ' ' + _FORMS}")
    if "sentinel" in scheme or "cluster" in scheme:
        _refuse(url, f"{scheme}:// is not supported. Give the address of the primary: {EXAMPLE}.")
    if scheme not in ("redis", "rediss", "unix"):
        meant = _MEANT.get(scheme.lower())
        hint = f"Did you mean {meant}?" if meant else _FORMS
        _refuse(url, f"the scheme {scheme!r} is not one of redis, rediss, unix. {hint}")
    # Whatever stands before the last @ is meant as user and password, wherever urllib would cut it.
    credentials, at, _ = rest.rpartition("@")
    if at and (re.search(r"[@/?#\[\]]", credentials) or credentials.count(":") > 1):
        _refuse(url, f"user name and password cannot be told from the rest. {_QUOTING}")
    if _BAD_ESCAPE.search(rest):
        _refuse(url, f"a % is not followed by two hexadecimal digits. {_QUOTING}")
    try:
        parts = urlsplit(url)
    except ValueError:
        _refuse(url, f"the host is malformed. {_FORMS}")
    if parts.fragment or url.endswith("#"):
        _refuse(url, f"it has a #. {_QUOTING}")
    return parts


def _tcp(url: str, parts: SplitResult) -> ServerURL:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.netloc.endswith(":"):
        _refuse(url, f"the port must be a number from 1 to 65535. {_FORMS} {_QUOTING}")
    if not parts.hostname or "," in parts.hostname or "%" in parts.hostname:
        _refuse(url, f"it must name one host. {_FORMS}")
    path = parts.path.removeprefix("/")
    options = _options(url, parts.query, ("db", *_TLS_OPTIONS) if parts.scheme == "rediss" else ("db",))
    if path and "db" in options:
        _refuse(url, "it names the database twice, in the path and as db=.")
    user, password = _credentials(url, parts)
    return ServerURL(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or DEFAULT_PORT,
        db=_database(url, path or options.pop("db", "0")),
        username=user,
        password=password,
        options=options,
    )


def _unix(url: str, parts: SplitResult) -> ServerURL:
    if parts.hostname or not parts.path.strip("/"):
        _refuse(url, "a unix socket is named by its absolute path: unix:///path/to/socket?db=0.")
    options = _options(url, parts.query, ("db",))
    user, password = _credentials(url, parts)
    db = _database(url, options.get("db", "0"))
    return ServerURL(scheme="unix", path=unquote(parts.path), db=db, username=user, password=password)


def _credentials(url: str, parts: SplitResult) -> tuple[str | None, str | None]:
    if parts.username is not None and parts.password is None:
        _refuse(url, f"it has a user name but no password. A password alone is written with a colon: {EXAMPLE}.")
    return unquote(parts.username or "") or None, unquote(parts.password or "") or None


def _database(url: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text):
        _refuse(url, f"the database must be a number, as in {EXAMPLE}.")
    return int(text)


def _options(url: str, query: str, known: tuple[str, ...]) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            hint = " TLS options need rediss://." if name in _TLS_OPTIONS else ""
            _refuse(url, f"the option {name!r} is unknown; known are {', '.join(known)}.{hint}")
        if name in options:
            _refuse(url, f"the option {name!r} is given twice.")
        choices = _CHOICES.get(name)
        if not value or (choices and value.lower() not in choices):
            _refuse(url, f"the option {name!r} must be {' or '.join(choices) if choices else 'set to something'}.")
        options[name] = value.lower() if choices else value
    return options
