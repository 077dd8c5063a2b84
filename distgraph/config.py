"""Run configs: their keys, merging, and what a node reads of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from distgraph.errors import ConfigError
from distgraph.runtime import current_scope
from distgraph.suggestions import did_you_mean
from distgraph.types import StreamWriter
from distgraph.warnings import DistgraphWarning


class RunnableConfig(TypedDict, total=False):
    """How a run is to be executed. Every key is optional."""

    #: Names shown with the run's events; inherited by nested calls.
    tags: list[str]
    #: Stored with checkpoints, filterable; inherited by nested calls.
    metadata: dict[str, Any]
    #: Objects called back on interrupts and resumes.
    callbacks: Any
    run_name: str
    run_id: Any
    #: Tasks of one superstep that run at the same time.
    max_concurrency: int | None
    #: Supersteps one call may take, START's included.
    recursion_limit: int
    #: ``thread_id``, ``checkpoint_id``, ``checkpoint_ns`` and the caller's own keys.
    configurable: dict[str, Any]


DEFAULT_RECURSION_LIMIT = 10007
CONFIG_KEYS = frozenset(RunnableConfig.__annotations__)
_MERGED = ("metadata", "configurable")
#: Keys of a config that mean nothing inside ``configurable``, where nobody heeds them.
_OUTSIDE = frozenset({"recursion_limit", "max_concurrency", "callbacks", "configurable"})
#: Keys of ``configurable`` that may stand beside it, as they do in many programs.
_MOVED = frozenset({"thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map"})


def ensure_config(*configs: Mapping[str, Any] | None) -> RunnableConfig:
    """One config out of several, later ones winning; the keys that name a thread may stand beside ``configurable``.

    Raises:
        ConfigError: a key that nobody knows, or one that holds what it cannot.
    """
    merged: dict[str, Any] = {}
    for config in configs:
        if config:
            if not isinstance(config, Mapping):
                raise ConfigError(f"A config must be a dict, got {config!r:.80} ({type(config).__name__}).")
            _merge_into(merged, config)
    _check(merged)
    return merged  # type: ignore[return-value]


def _merge_into(merged: dict[str, Any], config: Mapping[str, Any]) -> None:
    for key, value in config.items():
        if key not in CONFIG_KEYS:
            _check_moved(key)
        if value is None:
            continue
        if key in _MERGED:
            if not isinstance(value, Mapping):
                raise ConfigError(f"config[{key!r}] must be a dict, got {value!r:.80} ({type(value).__name__}).")
            if key == "configurable":
                _warn_misplaced(value)
            merged[key] = {**merged.get(key, {}), **value}
        elif key == "tags":
            if isinstance(value, str) or not isinstance(value, Iterable):
                raise ConfigError(f"config['tags'] must be a list of texts, got {value!r:.80}.")
            merged["tags"] = sorted({*merged.get("tags", ()), *value})
        elif key == "callbacks":
            merged["callbacks"] = [*_callbacks(merged.get("callbacks")), *_callbacks(value)]
        elif key in CONFIG_KEYS:
            merged[key] = value
        else:
            merged["configurable"] = {**merged.get("configurable", {}), key: value}


def _warn_misplaced(configurable: Mapping[str, Any]) -> None:
    """Keys of the caller's own are free; but these would look as if they were heeded, and are not."""
    for key in _OUTSIDE.intersection(configurable):
        text = (
            f"misplaced-key: {key!r} stands inside config['configurable'], where it has no effect. Put it beside that: "
        )
        warnings.warn(f"{text}{{{key!r}: ..., 'configurable': {{...}}}}.", DistgraphWarning, stacklevel=5)


def _check_moved(key: Any) -> None:
    if key not in _MOVED and not (isinstance(key, str) and key.startswith("__")):
        raise ConfigError(
            f"A config has no key {key!r}.{did_you_mean(key, CONFIG_KEYS)} Keys of your own belong inside "
            f"'configurable': {{'configurable': {{{key!r}: ...}}}}."
        )


def _callbacks(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, Sequence):
        return list(value)
    handlers = getattr(value, "handlers", None)
    return [value] if handlers is None else list(handlers)


def _check(config: dict[str, Any]) -> None:
    limit = config.get("recursion_limit")
    if limit is not None:
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise ConfigError(f"recursion_limit must be an int, got {limit!r} ({type(limit).__name__}).")
        if limit < 1:
            raise ConfigError(f"recursion_limit must be at least 1, got {limit}.")
    width = config.get("max_concurrency")
    if width is not None and (isinstance(width, bool) or not isinstance(width, int) or width < 1):
        raise ConfigError(f"max_concurrency must be an int of at least 1, got {width!r}.")
    thread_id = config.get("configurable", {}).get("thread_id")
    if isinstance(thread_id, bytes):
        raise ConfigError(f"thread_id must be a text, got bytes {thread_id!r:.80}. Give thread_id.decode().")
    if thread_id is not None:
        check_id("thread_id", str(thread_id))


def check_id(what: str, value: str, *, limit: int = 512) -> str:
    """``value`` if it can be an id.

    Raises:
        ConfigError: empty, longer than ``limit`` bytes, or with a lone surrogate.
    """
    try:
        size = len(value.encode())
    except UnicodeEncodeError as exc:
        raise ConfigError(f"{what} {value!r} contains a lone surrogate, which is no valid text.") from exc
    if not value or size > limit:
        raise ConfigError(f"{what} must have 1 to {limit} bytes, got {size}: {value[:40]!r}.")
    return value


def get_config() -> RunnableConfig:
    """The config of the node that runs here."""
    return current_scope().config  # type: ignore[return-value]


def get_store() -> Any:
    """The store of the graph whose node runs here."""
    return current_scope().runtime.store


def get_stream_writer() -> StreamWriter:
    """Sends a value into ``stream_mode="custom"`` of the run whose node runs here."""
    return current_scope().runtime.stream_writer
