"""What an operator sets for a worker and for Flower: environment variables, each with its meaning and default.

Every setting is the variable DISTGRAPH_<NAME>: `url` is DISTGRAPH_URL. A variable that is set but empty counts as
not set, so that `DISTGRAPH_SECRET=` in a compose file changes nothing.
"""

from __future__ import annotations

import difflib
import os
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from distgraph.errors import ConfigError
from distgraph.ledger.url import EXAMPLE, parse_broker_url, parse_url

PREFIX = "DISTGRAPH_"


def _split(value: object) -> object:
    """`a, b` -> ("a", "b"); what is no text stays as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _plain(name: str) -> str:
    """What becomes part of a Redis key or a queue's name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise ValueError("must be 1 to 64 letters, digits and ._- and begin with a letter or digit")
    return name


def _importable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z_]\w*)?", name):
        raise ValueError("must be package.module or package.module:name, several separated by commas")
    return name


PlainName = Annotated[str, AfterValidator(_plain)]
Importable = Annotated[str, AfterValidator(_importable)]
_comma_list = (NoDecode, BeforeValidator(_split))

#: never shown, not even when wrong
_CONFIDENTIAL = frozenset({"url", "broker_url", "secret", "flower_password"})


class Settings(BaseSettings):
    """The settings of one worker or Flower process. Read them with `Settings.load()`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    #: Redis or Valkey: state, and broker if it has no server of its own. May hold a password, so it is never printed.
    url: str = Field(default="redis://127.0.0.1:6379/0", repr=False)
    #: the broker, Redis or Valkey too; empty: the same server. Worker, submitter and Flower must agree.
    broker_url: str = Field(default="", repr=False)
    #: separates users of one server; worker and submitter must agree
    namespace: PlainName = "default"
    #: modules (or module:name) whose compiled, named graphs this worker serves; nothing else is ever loaded
    graphs: Annotated[tuple[Importable, ...], *_comma_list] = Field(default=("workers.graphs",), min_length=1)
    #: prefork: CPU-bound or hang-prone nodes; threads: nodes that wait; solo: one slot, least to go wrong
    pool: Literal["prefork", "threads", "solo"] = "prefork"
    #: slots of this worker; not set: one for each CPU
    concurrency: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=1024)
    #: queues to take work from; empty: the default queue
    queues: Annotated[tuple[PlainName, ...], *_comma_list] = ()
    #: of versions of its graphs that nobody serves any more: take over nothing, what they declare, or all
    versions: Literal["pin", "compatible", "force"] = "compatible"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    #: signs stored data; once set, unsigned data is refused. The same on every worker and submitter.
    secret: SecretStr | None = None
    #: async nodes of one slot that may wait at the same time
    async_concurrency: int = Field(default=100, ge=1)
    #: seconds that a stopping worker waits for nodes that run; what is left is taken over by other workers
    drain_timeout: float = Field(default=30.0, ge=0)
    #: seconds that a node may go on after its run was cancelled, before its process is ended (pool prefork)
    cancel_grace: float = Field(default=5.0, ge=0)
    #: MiB that one process of the pool may hold (pool prefork); 0: no limit
    max_memory_per_child: int = Field(default=0, ge=0)
    #: seconds that results of runtime.once are kept of a run or item that is done: longer than a process may stand still
    keep_effects: int = Field(default=3600, ge=0)
    #: seconds that a node's result is offered to a ledger that is away, before it is given up and worked out anew
    commit_patience: float = Field(default=60.0, ge=0)

    #: Flower: where it listens, and who may look. No password set: a new one at each start.
    flower_address: str = "127.0.0.1"
    flower_port: int = Field(default=5555, ge=1, le=65535)
    flower_user: str = Field(default="distgraph", pattern=r"^[^:\s,]+$")
    flower_password: SecretStr | None = None

    @field_validator("url", "broker_url")
    @classmethod
    def _is_an_address(cls, url: str, info: ValidationInfo) -> str:
        read = parse_url if info.field_name == "url" else parse_broker_url
        try:
            if url or info.field_name == "url":
                read(url)
        except ConfigError:
            # whose text shows what is no part of an address: here that may be a password, too
            raise ValueError(f"must look like {EXAMPLE}, rediss://... (TLS) or unix:///path/to/socket?db=0") from None
        return url

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level

    @classmethod
    def load(cls) -> Self:
        """Read the environment.

        Raises:
            ConfigError: a setting is wrong, or a variable looks like a misspelt one; all of them in one text.
        """
        problems = _misspelt(cls)
        try:
            settings = cls()
        except ValidationError as error:
            # without the traceback of the cause: it repeats the input, which may be a password
            raise ConfigError(_report([*map(_sentence, error.errors()), *problems])) from None
        if problems:
            raise ConfigError(_report(problems))
        return settings


def _misspelt(settings: type[Settings]) -> list[str]:
    """Variables of ours that no setting reads and that are close to one that exists."""
    known = [f"{PREFIX}{field.upper()}" for field in settings.model_fields]
    problems = []
    for variable in sorted(os.environ):
        close = difflib.get_close_matches(variable, known, n=1, cutoff=0.9)
        if variable.startswith(PREFIX) and variable not in known and close:
            problems.append(f"{variable} is not a setting; did you mean {close[0]}?")
    return problems


def _sentence(error: ErrorDetails) -> str:
    field = str(error["loc"][0])
    message = error["msg"].removeprefix("Value error, ").replace("Input should", "must")
    given = "" if field in _CONFIDENTIAL else f"={error['input']}"
    return f"{PREFIX}{field.upper()}{given}: {message}"


def _report(problems: list[str]) -> str:
    return "The settings of this process are wrong:\n" + "\n".join(f"  - {problem}" for problem in problems)
