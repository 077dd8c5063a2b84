"""What all kinds of store have in common: operations of a batch taken apart, texts embedded, results put together.

A kind brings the table: reading, walking, writing.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from asyncio import to_thread
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from distgraph.errors import InputError
from distgraph.store.base import BaseStore
from distgraph.store.index import Candidate, Indexer, page
from distgraph.store.matching import listed, passes
from distgraph.store.ops import (
    GetOp,
    IndexConfig,
    Item,
    ListNamespacesOp,
    Namespace,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    validate_op_namespace,
)
from distgraph.warnings import DistgraphWarning


class Put(NamedTuple):
    """An item to store: the operation, and the vectors of its texts by path."""

    op: PutOp
    vectors: dict[str, list[float]]


class _Plan:
    """The operations of a batch."""

    def __init__(self, ops: Iterable[Op], indexer: Indexer | None) -> None:
        given: list[Any] = list(ops)
        self.ops: list[Op] = given
        #: Of several puts to one key, the last.
        self.puts: dict[tuple[Namespace, str], PutOp] = {}
        for op in given:
            if not isinstance(op, GetOp | SearchOp | PutOp | ListNamespacesOp):
                text = f"Unknown operation type: {type(op).__name__}. Use GetOp, SearchOp, PutOp or ListNamespacesOp."
                raise InputError(text)
            validate_op_namespace(op)
            if isinstance(op, PutOp):
                self.puts[tuple(op.namespace), op.key] = op
        self.queries = sorted({op.query for op in self.ops if isinstance(op, SearchOp) and op.query})
        self._texts = {place: indexer.texts(op) if indexer else {} for place, op in self.puts.items()}
        self.texts = sorted({text for texts in self._texts.values() for text in texts.values()})

    def embedded(self, vectors: Mapping[str, list[float]]) -> list[Put]:
        """The puts with their vectors."""
        return [
            Put(op, {path: vectors[text] for path, text in self._texts[place].items()})
            for place, op in self.puts.items()
        ]


class TableStore(BaseStore):
    """A store over a table of items.

    Args:
        index: how items are found by meaning; None: they are not.
        ttl: how long items live.
    """

    def __init__(self, *, index: IndexConfig | None = None, ttl: TTLConfig | None = None) -> None:
        self.index_config, self.ttl_config = index, ttl
        self._indexer = Indexer(index) if index else None

    # ------------------------------------------------------------- what a kind brings

    @abstractmethod
    def _read(self, ops: Sequence[GetOp]) -> list[Item | None]:
        """The items of these places."""

    @abstractmethod
    def _below(self, prefix: Namespace, *, vectors: bool) -> Iterator[Candidate]:
        """All items below a namespace: namespaces, and keys within each, in the order they were first put."""

    @abstractmethod
    def _touch(self, items: Sequence[Item]) -> None:
        """The time to live of these items starts again."""

    @abstractmethod
    def _namespaces(self) -> Iterable[Namespace]:
        """The namespaces that hold items."""

    @abstractmethod
    def _write(self, puts: Sequence[Put]) -> None:
        """Store and delete items."""

    # ------------------------------------------------------------- batches

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        plan, indexer = _Plan(ops, self._indexer), self._indexer
        vectors: dict[str, list[float]] = {}
        queries: dict[str, list[float]] = {}
        if indexer is not None and plan.texts:
            vectors = indexer.paired(plan.texts, indexer.embeddings.embed_documents(plan.texts))
        if indexer is not None and plan.queries:
            found = [indexer.embeddings.embed_query(query) for query in plan.queries]
            queries = indexer.paired(plan.queries, found)
        return self._carry_out(plan, vectors, queries)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        plan, indexer = _Plan(ops, self._indexer), self._indexer
        vectors: dict[str, list[float]] = {}
        queries: dict[str, list[float]] = {}
        if indexer is not None and plan.texts:
            vectors = indexer.paired(plan.texts, await indexer.embeddings.aembed_documents(plan.texts))
        if indexer is not None and plan.queries:
            found = [await indexer.embeddings.aembed_query(query) for query in plan.queries]
            queries = indexer.paired(plan.queries, found)
        return await self._acarry_out(plan, vectors, queries)

    async def _acarry_out(self, *args: Any) -> list[Result]:
        return await to_thread(self._carry_out, *args)

    def _carry_out(
        self, plan: _Plan, vectors: Mapping[str, list[float]], queries: Mapping[str, Sequence[float]]
    ) -> list[Result]:
        gets = [op for op in plan.ops if isinstance(op, GetOp)]
        items = iter(self._read(gets) if gets else ())
        results: list[Result] = []
        for op in plan.ops:
            if isinstance(op, GetOp):
                results.append(next(items))
            elif isinstance(op, SearchOp):
                results.append(self._found(op, queries))
            elif isinstance(op, ListNamespacesOp):
                results.append(listed(self._namespaces(), op))
            else:
                results.append(None)
        if plan.puts:
            self._write(plan.embedded(vectors))
        return results

    def _found(self, op: SearchOp, queries: Mapping[str, Sequence[float]]) -> list[SearchItem]:
        query = queries.get(op.query) if op.query else None
        if op.query and self._indexer is None:
            text = (
                f"This {type(self).__name__} has no index: the query {op.query!r} is ignored, and what is found is in no "
                "order of meaning. Give the store index={'dims': ..., 'embed': ...}."
            )
            warnings.warn(text, DistgraphWarning, stacklevel=2)
        found = page(self._candidates(op, ranked=query is not None), op, query)
        if op.refresh_ttl and found:
            self._touch(found)
        return found

    def _candidates(self, op: SearchOp, *, ranked: bool) -> Iterator[Candidate]:
        left = -1 if ranked else op.offset + op.limit
        for candidate in self._below(tuple(op.namespace_prefix), vectors=ranked):
            if left == 0:
                return
            if passes(candidate.item.value, op.filter):
                left -= 1
                yield candidate
