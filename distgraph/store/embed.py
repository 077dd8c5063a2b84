"""Texts of an item, their vectors, and how near two vectors are."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from inspect import iscoroutinefunction
from math import sqrt
from re import compile as regex
from typing import Any, Protocol, TypeAlias, runtime_checkable

from distgraph.errors import ConfigError

EmbeddingsFunc: TypeAlias = Callable[[Sequence[str]], list[list[float]]]
AEmbeddingsFunc: TypeAlias = Callable[[Sequence[str]], Awaitable[list[list[float]]]]

_TOKEN = regex(r"\[[^\]]*\]|\{[^}]*\}|[^.\[{]+")


@runtime_checkable
class Embeddings(Protocol):
    """What makes vectors of texts, by the names that LangChain's embeddings have."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text."""

    def embed_query(self, text: str) -> list[float]:
        """The vector of one text."""

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """``embed_documents`` under an event loop."""

    async def aembed_query(self, text: str) -> list[float]:
        """``embed_query`` under an event loop."""


class EmbeddingsLambda:
    """A function as ``Embeddings``; what is async can be used under an event loop alone."""

    def __init__(self, func: Any) -> None:
        self._fn = func
        self._awaits = iscoroutinefunction(func) or iscoroutinefunction(getattr(func, "__call__", None))  # noqa: B004

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text.

        Raises:
            ConfigError: the function is async.
        """
        if self._awaits:
            raise ConfigError(
                "The store's embed function is async: use aput and asearch, or give the store a plain function."
            )
        found: list[list[float]] = self._fn(texts)
        return found

    def embed_query(self, text: str) -> list[float]:
        """The vector of one text."""
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text; a plain function gets an OS thread."""
        if self._awaits:
            found: list[list[float]] = await self._fn(texts)
            return found
        from asyncio import to_thread

        return await to_thread(self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        """The vector of one text."""
        return (await self.aembed_documents([text]))[0]


def ensure_embeddings(embed: Any) -> Embeddings:
    """``embed`` as ``Embeddings``: a function, an async function, such an object, or "provider:model" with LangChain.

    Raises:
        ConfigError: it is none of these, or LangChain is not installed.
    """
    if isinstance(embed, str):
        if find_spec("langchain") is None:
            raise ConfigError(
                f"Cannot load the embeddings {embed!r}: langchain is not installed. Install it with the provider's "
                "package, or give a function from texts to vectors."
            )
        made: Embeddings = import_module("langchain.embeddings").init_embeddings(embed)
        return made
    if isinstance(embed, Embeddings):
        return embed
    if not callable(embed):
        raise ConfigError(
            f"embed must be provided: a function from texts to vectors, or an object with embed_documents; got {embed!r}."
        )
    return EmbeddingsLambda(embed)


# ------------------------------------------------------------- texts


def tokenize_path(path: str) -> list[str]:
    """The steps of a path: ``"a.b[0].{c,d}"`` -> ``["a", "b", "[0]", "{c,d}"]``."""
    return _TOKEN.findall(path)


def get_text_at_path(obj: Any, path: str | Sequence[str]) -> list[str]:
    """The texts at a path of a value; "$" or nothing is the whole value as JSON, what is not there is no text.

    A step is a field, ``[0]``, ``[-1]`` or ``[*]`` of a list, ``*`` for all fields, or ``{a,b}`` for some.
    """
    if not path or path == "$" or list(path) == ["$"]:
        return [_json(obj)]
    return list(_texts(obj, tokenize_path(path) if isinstance(path, str) else list(path)))


def _texts(value: Any, steps: Sequence[str]) -> Iterator[str]:
    if not steps:
        if isinstance(value, str | int | float):
            yield str(value)
        elif isinstance(value, list | dict):
            yield _json(value)
        return
    for inner in _step(value, steps[0]):
        yield from _texts(inner, steps[1:])


def _step(value: Any, step: str) -> Iterator[Any]:
    if step == "*":
        yield from value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    elif step.startswith("["):
        if isinstance(value, list):
            yield from _indexed(value, step[1:-1])
    elif not isinstance(value, dict):
        return
    elif step.startswith("{"):
        for field in step[1:-1].split(","):
            yield from _at(value, tokenize_path(field.strip()))
    elif step in value:
        yield value[step]


def _indexed(values: list[Any], index: str) -> Iterator[Any]:
    if index == "*":
        yield from values
        return
    try:
        yield values[int(index)]
    except (ValueError, IndexError):
        return


def _at(value: Any, fields: Sequence[str]) -> Iterator[Any]:
    for field in fields:
        if not isinstance(value, dict) or field not in value:
            return
        value = value[field]
    if value is not None and fields:
        yield value


def _json(value: Any) -> str:
    plain = dict(value) if isinstance(value, Mapping) else value
    return json.dumps(plain, sort_keys=True, ensure_ascii=False, default=str)


# ------------------------------------------------------------- vectors


def cosine_similarity(query: Sequence[float], vectors: Sequence[Sequence[float]]) -> list[float]:
    """How near each of ``vectors`` is to ``query``: 1 the same direction, 0 unrelated or empty."""
    if not vectors:
        return []
    if _has_numpy():
        return _cosines(query, vectors)
    own = sqrt(sum(x * x for x in query))
    found = []
    for vector in vectors:
        norms = own * sqrt(sum(x * x for x in vector))
        found.append(sum(x * y for x, y in zip(query, vector, strict=True)) / norms if norms else 0.0)
    return found


@lru_cache(maxsize=1)
def _has_numpy() -> bool:
    return find_spec("numpy") is not None


def _cosines(query: Sequence[float], vectors: Sequence[Sequence[float]]) -> list[float]:
    np = import_module("numpy")
    matrix, wanted = np.asarray(vectors, dtype=float), np.asarray(query, dtype=float)
    norms = np.linalg.norm(matrix, axis=1) * np.linalg.norm(wanted)
    found = np.zeros_like(norms)
    np.divide(matrix @ wanted, norms, out=found, where=norms != 0)
    return [float(score) for score in found]
