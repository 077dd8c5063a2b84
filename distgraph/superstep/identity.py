"""Ids that every process computes alike from the same checkpoint."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from distgraph.constants import NS_END, NS_SEP, PULL
from distgraph.digests import digest_of, hex_digest, interrupt_id

__all__ = [
    "checkpoint_id",
    "digest_of",
    "idempotency_key",
    "interrupt_id",
    "next_version",
    "path_key",
    "pull_path",
    "task_id",
    "task_ns",
    "ticks_of",
]


def _uuid_form(digest: str) -> str:
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def task_id(checkpoint_id: str, ns: str, step: int, name: str, path: tuple[Any, ...]) -> str:
    """The id of one activation: the same in every process that plans it from the same checkpoint."""
    return _uuid_form(hex_digest(f"{checkpoint_id}\0{ns}\0{step}\0{name}\0{path_key(path)}"))


def task_ns(ns: str, name: str, tid: str) -> str:
    """The checkpoint namespace of a task: where graphs nested in it keep theirs."""
    own = f"{name}{NS_END}{tid}"
    return f"{ns}{NS_SEP}{own}" if ns else own


def idempotency_key(run_id: str, ns: str, step: int, path: tuple[Any, ...]) -> str:
    """The key every attempt of a task offers to services that deduplicate.

    It names the task by its place in the run, not by a checkpoint id, so that it survives a roll-back of the server.
    """
    return hex_digest(f"{run_id}\0{ns}\0{step}\0{path_key(path)}")


@lru_cache(maxsize=4096)
def path_key(path: tuple[Any, ...]) -> str:
    """A text that sorts as tasks are to be applied: by channels before by Send, by name, by Send index."""
    # The separator sorts below whatever names hold: a path's own continuation comes before the next name.
    return "\x1f".join(
        f"{part:010d}" if isinstance(part, int) and not isinstance(part, bool) else str(part) for part in path
    )


def pull_path(name: str) -> tuple[Any, ...]:
    """The path of the activation of ``name`` by its channels."""
    return (PULL, name)


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
