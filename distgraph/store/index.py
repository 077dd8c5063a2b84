"""How a store finds items by meaning: which texts of an item get vectors, and what is nearest to a query."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from distgraph.errors import ConfigError
from distgraph.store.embed import Embeddings, cosine_similarity, ensure_embeddings, get_text_at_path, tokenize_path
from distgraph.store.ops import IndexConfig, Item, PutOp, SearchItem, SearchOp
from distgraph.warnings import DistgraphWarning

#: Path -> vector, of one item.
Vectors = Mapping[str, Sequence[float]]


class Candidate(NamedTuple):
    """An item that a search may return, with its vectors where they are wanted."""

    item: Item
    vectors: Vectors


class Indexer:
    """What an ``IndexConfig`` says, checked once.

    Raises:
        ConfigError: no usable ``embed``, or ``dims`` that is no positive number.
    """

    def __init__(self, config: IndexConfig) -> None:
        dims = config.get("dims")
        if dims is not None and (not isinstance(dims, int) or dims < 1):
            raise ConfigError(f"index['dims'] must be a positive int, got {dims!r}.")
        self.dims = dims
        self.embeddings: Embeddings = ensure_embeddings(config.get("embed"))
        self._fields = [(path, _steps(path)) for path in config.get("fields") or ["$"]]

    def texts(self, op: PutOp) -> dict[str, str]:
        """Path -> text of what ``op`` puts; a path with several texts is numbered."""
        if op.value is None or op.index is False:
            return {}
        fields = self._fields if op.index is None else [(path, _steps(path)) for path in op.index]
        found: dict[str, str] = {}
        for path, steps in fields:
            texts = get_text_at_path(op.value, steps)
            found.update((path if len(texts) == 1 else f"{path}.{n}", text) for n, text in enumerate(texts))
        return found

    def paired(self, texts: Sequence[str], vectors: Sequence[Sequence[float]]) -> dict[str, list[float]]:
        """Text -> vector, of what the embeddings returned.

        Raises:
            ConfigError: not one vector for each text.
        """
        if len(texts) != len(vectors):
            raise ConfigError(f"The store's embed returned {len(vectors)} vectors for {len(texts)} texts.")
        found = {text: [float(x) for x in vector] for text, vector in zip(texts, vectors, strict=True)}
        for vector in found.values():
            if self.dims is not None and len(vector) != self.dims:
                text = f"The store's embed returned a vector of {len(vector)} numbers; index['dims'] says {self.dims}."
                warnings.warn(text, DistgraphWarning, stacklevel=2)
                break
        return found


def _steps(path: str) -> list[str]:
    return [] if path == "$" else tokenize_path(path)


def page(candidates: Iterable[Candidate], op: SearchOp, query: Sequence[float] | None) -> list[SearchItem]:
    """What a search returns of its candidates: nearest first where there is a query, the others after them."""
    found = list(candidates)
    if query is None:
        return [_found(each.item, None) for each in found[op.offset : op.offset + op.limit]]
    scores = _scores(query, found)
    ranked = sorted((n for n in range(len(found)) if n in scores), key=lambda n: -scores[n])
    order = [*ranked, *(n for n in range(len(found)) if n not in scores)]
    return [_found(found[n].item, scores.get(n)) for n in order[op.offset : op.offset + op.limit]]


def _scores(query: Sequence[float], found: Sequence[Candidate]) -> dict[int, float]:
    """Position -> how near the nearest of its vectors is."""
    owners = [n for n, each in enumerate(found) for _ in each.vectors]
    vectors = [vector for each in found for vector in each.vectors.values()]
    for n, vector in zip(owners, vectors, strict=True):
        if len(vector) != len(query):
            item = found[n].item
            raise ConfigError(
                f"Item {item.key!r} of {item.namespace} has a vector of {len(vector)} numbers, the query one of "
                f"{len(query)}: they come from different embeddings. Put the item again, or use the former embed."
            )
    best: dict[int, float] = {}
    for n, score in zip(owners, cosine_similarity(query, vectors), strict=True):
        best[n] = max(score, best.get(n, score))
    return best


def _found(item: Item, score: float | None) -> SearchItem:
    value: dict[str, Any] = item.value
    return SearchItem(item.namespace, item.key, value, item.created_at, item.updated_at, score)
