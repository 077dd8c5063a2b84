"""What a store is: items under (namespace, key), found again by key, by namespace, by contents or by meaning.

A store outlives threads: it is what a graph remembers of a user, a project, a subject. ``batch`` and ``abatch`` carry
out operations; all other methods make one operation and hand it to them. Within one batch everything that reads sees
the store as it was before, and of several puts to one key the last stands.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, cast

from distgraph.errors import InvalidNamespaceError
from distgraph.store.embed import Embeddings, ensure_embeddings, get_text_at_path, tokenize_path
from distgraph.store.ops import (
    NOT_PROVIDED,
    GetOp,
    Index,
    IndexConfig,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Namespace,
    NamespaceMatchType,
    NamespacePath,
    NotProvided,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    check_labels,
    check_namespace,
    validate_op_namespace,
)

__all__ = [
    "BaseStore",
    "Embeddings",
    "GetOp",
    "IndexConfig",
    "InvalidNamespaceError",
    "Item",
    "ListNamespacesOp",
    "MatchCondition",
    "NOT_PROVIDED",
    "NamespaceMatchType",
    "NamespacePath",
    "NotProvided",
    "Op",
    "PutOp",
    "Result",
    "SearchItem",
    "SearchOp",
    "TTLConfig",
    "ensure_embeddings",
    "get_text_at_path",
    "tokenize_path",
    "validate_op_namespace",
]


class BaseStore(ABC):
    """Subclass it and implement ``batch`` and ``abatch``."""

    #: Whether ``put`` takes a ``ttl``.
    supports_ttl: bool = False
    ttl_config: TTLConfig | None = None

    __slots__ = ("__weakref__",)

    @abstractmethod
    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations; the results in their order."""

    @abstractmethod
    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """``batch`` under an event loop."""

    # ------------------------------------------------------------- one operation

    def get(self, namespace: Namespace, key: str, *, refresh_ttl: bool | None = None) -> Item | None:
        """One item, or None.

        Args:
            namespace: labels, from general to special.
            key: within the namespace.
            refresh_ttl: whether its time to live starts again; None: as the store is configured.

        Raises:
            InvalidNamespaceError: a label is empty, no text, or holds a period.
        """
        return cast("Item | None", self.batch([self._get(namespace, key, refresh_ttl)])[0])

    def search(
        self,
        namespace_prefix: Namespace,
        /,
        *,
        query: str | None = None,
        filter: dict[str, Any] | None = None,
        limit: int = 10,
        offset: int = 0,
        refresh_ttl: bool | None = None,
    ) -> list[SearchItem]:
        """Items below a namespace; see ``SearchOp``.

        Raises:
            InvalidNamespaceError: as ``get``.
            ConfigError: a filter's operator is unknown, or its values cannot be compared.
        """
        op = self._search(namespace_prefix, filter, limit, offset, query, refresh_ttl)
        return cast("list[SearchItem]", self.batch([op])[0])

    def put(
        self,
        namespace: Namespace,
        key: str,
        value: Mapping[str, Any],
        index: Index = None,
        *,
        ttl: float | NotProvided | None = NOT_PROVIDED,
    ) -> None:
        """Store an item, or replace it.

        Args:
            namespace: labels, from general to special; at least one.
            key: within the namespace.
            value: with text as keys.
            index: fields to find it by; None: the store's own; False: none.
            ttl: minutes since the last access after which it goes; None: never.

        Raises:
            InvalidNamespaceError: as ``get``; or no label at all, or the first one is "langgraph".
            NotImplementedError: a ``ttl``, and the store has none.
            CodecError: the value cannot be stored.
        """
        self.batch([self._put(namespace, key, value, index, ttl)])

    def delete(self, namespace: Namespace, key: str) -> None:
        """Delete an item, if it is there."""
        self.batch([self._delete(namespace, key)])

    def list_namespaces(
        self,
        *,
        prefix: NamespacePath | None = None,
        suffix: NamespacePath | None = None,
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[tuple[str, ...]]:
        """Namespaces that hold items, sorted; ``"*"`` in ``prefix`` and ``suffix`` is any label."""
        op = self._listing(prefix, suffix, max_depth, limit, offset)
        return cast("list[tuple[str, ...]]", self.batch([op])[0])

    # ------------------------------------------------------------- the same under an event loop

    async def aget(self, namespace: Namespace, key: str, *, refresh_ttl: bool | None = None) -> Item | None:
        """``get`` under an event loop."""
        return cast("Item | None", (await self.abatch([self._get(namespace, key, refresh_ttl)]))[0])

    async def asearch(
        self,
        namespace_prefix: Namespace,
        /,
        *,
        query: str | None = None,
        filter: dict[str, Any] | None = None,
        limit: int = 10,
        offset: int = 0,
        refresh_ttl: bool | None = None,
    ) -> list[SearchItem]:
        """``search`` under an event loop."""
        op = self._search(namespace_prefix, filter, limit, offset, query, refresh_ttl)
        return cast("list[SearchItem]", (await self.abatch([op]))[0])

    async def aput(
        self,
        namespace: Namespace,
        key: str,
        value: Mapping[str, Any],
        index: Index = None,
        *,
        ttl: float | NotProvided | None = NOT_PROVIDED,
    ) -> None:
        """``put`` under an event loop."""
        await self.abatch([self._put(namespace, key, value, index, ttl)])

    async def adelete(self, namespace: Namespace, key: str) -> None:
        """``delete`` under an event loop."""
        await self.abatch([self._delete(namespace, key)])

    async def alist_namespaces(
        self,
        *,
        prefix: NamespacePath | None = None,
        suffix: NamespacePath | None = None,
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[tuple[str, ...]]:
        """``list_namespaces`` under an event loop."""
        op = self._listing(prefix, suffix, max_depth, limit, offset)
        return cast("list[tuple[str, ...]]", (await self.abatch([op]))[0])

    # ------------------------------------------------------------- making operations

    def _get(self, namespace: Namespace, key: str, refresh_ttl: bool | None) -> GetOp:
        check_labels(namespace)
        return GetOp(tuple(namespace), str(key), self._refreshes(refresh_ttl))

    def _search(
        self,
        prefix: Namespace,
        filter: dict[str, Any] | None,
        limit: int,
        offset: int,
        query: str | None,
        refresh_ttl: bool | None,
    ) -> SearchOp:
        check_labels(prefix)
        return SearchOp(tuple(prefix), filter, limit, offset, query, self._refreshes(refresh_ttl))

    def _put(
        self, namespace: Namespace, key: str, value: Mapping[str, Any], index: Index, ttl: float | NotProvided | None
    ) -> PutOp:
        check_namespace(namespace)
        if isinstance(ttl, NotProvided):
            ttl = (self.ttl_config or {}).get("default_ttl")
        elif ttl is not None and not self.supports_ttl:
            raise NotImplementedError(
                f"TTL is not supported by {type(self).__name__}. Use a store that supports it, or leave ttl out."
            )
        return PutOp(tuple(namespace), str(key), value, index, ttl)

    def _delete(self, namespace: Namespace, key: str) -> PutOp:
        check_labels(namespace)
        return PutOp(tuple(namespace), str(key), None)

    def _listing(
        self,
        prefix: NamespacePath | None,
        suffix: NamespacePath | None,
        max_depth: int | None,
        limit: int,
        offset: int,
    ) -> ListNamespacesOp:
        kinds: tuple[tuple[NamespaceMatchType, NamespacePath | None], ...] = (("prefix", prefix), ("suffix", suffix))
        conditions = tuple(MatchCondition(kind, tuple(path)) for kind, path in kinds if path)
        for condition in conditions:
            check_labels(condition.path)
        return ListNamespacesOp(conditions, max_depth, limit, offset)

    def _refreshes(self, refresh_ttl: bool | None) -> bool:
        return (self.ttl_config or {}).get("refresh_on_read", True) if refresh_ttl is None else refresh_ttl
