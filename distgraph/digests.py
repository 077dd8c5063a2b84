"""Digests of texts and plain data: alike in every process, whatever its hash seed."""

from __future__ import annotations

import hashlib
from typing import Any

from distgraph.constants import NS_SEP


def hex_digest(text: str) -> str:
    """32 hex digits that name ``text``."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def interrupt_id(ns: str, index: int) -> str:
    """The id of the ``index``-th question (from 0) of the task with namespace ``ns``: 32 hex digits."""
    return hex_digest(ns if index == 0 else f"{ns}{NS_SEP}{index}")


def digest_of(value: Any) -> str:
    """A digest of plain data: equal values, equal digests, in every process."""
    return hex_digest(_canonical(value))


def _canonical(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{_canonical(k)}:{_canonical(v)}" for k, v in value.items())) + "}"
    if isinstance(value, set | frozenset):
        return "<" + ",".join(sorted(map(_canonical, value))) + ">"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_canonical, value)) + "]"
    return f"{type(value).__name__}={value!r}"
