"""Ids that every process computes alike from the same checkpoint."""

from __future__ import annotations

import hashlib
from typing import Any

from distgraph.constants import NS_END, NS_SEP, PULL


def _hex(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _uuid_form(digest: str) -> str:
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def task_id(checkpoint_id: str, ns: str, step: int, name: str, path: tuple[Any, ...]) -> str:
    """The id of one activation: the same in every process that plans it from the same checkpoint."""
    return _uuid_form(_hex(f"{checkpoint_id}\0{ns}\0{step}\0{name}\0{path_key(path)}"))


def task_ns(ns: str, name: str, tid: str) -> str:
    """The checkpoint namespace of a task: where graphs nested in it keep theirs."""
    own = f"{name}{NS_END}{tid}"
    return f"{ns}{NS_SEP}{own}" if ns else own


def interrupt_id(ns: str, index: int) -> str:
    """The id of the ``index``-th question (from 0) of the task with namespace ``ns``: 32 hex digits."""
    return _hex(ns if index == 0 else f"{ns}{NS_SEP}{index}")


def idempotency_key(run_id: str, ns: str, step: int, path: tuple[Any, ...]) -> str:
    """The key every attempt of a task offers to services that deduplicate.

    It names the task by its place in the run, not by a checkpoint id, so that it survives a roll-back of the server.
    """
    return _hex(f"{run_id}\0{ns}\0{step}\0{path_key(path)}")


def path_key(path: tuple[Any, ...]) -> str:
    """A text that sorts as tasks are to be applied: by channels before by Send, by name, by Send index."""
    return "~".join(
        f"{part:010d}" if isinstance(part, int) and not isinstance(part, bool) else str(part) for part in path
    )


def pull_path(name: str) -> tuple[Any, ...]:
    """The path of the activation of ``name`` by its channels."""
    return (PULL, name)


def digest_of(value: Any) -> str:
    """A digest of plain data: equal values, equal digests, in every process."""
    return _hex(_canonical(value))


def _canonical(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{_canonical(k)}:{_canonical(v)}" for k, v in value.items())) + "}"
    if isinstance(value, set | frozenset):
        return "<" + ",".join(sorted(map(_canonical, value))) + ">"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_canonical, value)) + "]"
    return f"{type(value).__name__}={value!r}"


def checkpoint_id(ticks: int, noise: int) -> str:
    """An id that sorts by time: ``ticks`` are microseconds since the epoch, ``noise`` 64 random bits.

    The random part is why a step number that comes again after a roll-back of the server is not taken for the old one.
    """
    high = ticks & 0xFFFFFFFFFFFFF
    text = f"{high:013x}{noise & 0xFFFFFFFFFFFFFFFF:016x}"
    return f"{text[:8]}-{text[8:12]}-8{text[12:15]}-a{text[15:18]}-{text[18:]}0"


def ticks_of(cid: str) -> int:
    """The ``ticks`` of a checkpoint id made by ``checkpoint_id``; 0 for a foreign one."""
    try:
        return int(cid[:8] + cid[9:13] + cid[15:16], 16) if cid[14] == "8" else 0
    except (ValueError, IndexError):
        return 0


def next_version(last: Any, noise: int) -> str:
    """The version after ``last`` (None: the first): sorts, and its 32 random bits keep two forks from sharing one."""
    number = int(last[:16]) + 1 if last else 1
    return f"{number:016d}.{noise & 0xFFFFFFFF:08x}"
