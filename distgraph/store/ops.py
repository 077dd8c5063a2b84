"""Items of a store, the operations on them, and the rules of namespaces."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias, TypedDict

from distgraph.errors import InvalidNamespaceError

Namespace: TypeAlias = tuple[str, ...]
#: Labels of a namespace, or ``"*"`` for any label.
NamespacePath: TypeAlias = tuple[str, ...]
NamespaceMatchType: TypeAlias = Literal["prefix", "suffix"]
Index: TypeAlias = Literal[False] | list[str] | None


class NotProvided:
    """The type of ``NOT_PROVIDED``: the caller said nothing, where None says something."""

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_PROVIDED = NotProvided()


class Item:
    """A value with its place and its times.

    Attributes:
        value: the stored dict, the caller's own copy.
        key: unique within the namespace.
        created_at: when the key was first put, UTC.
        updated_at: when it was last put, UTC.
    """

    __slots__ = ("created_at", "key", "namespace", "updated_at", "value")

    def __init__(
        self,
        *,
        value: dict[str, Any],
        key: str,
        namespace: Namespace,
        created_at: datetime | str,
        updated_at: datetime | str,
    ) -> None:
        self.value, self.key, self.namespace = value, key, tuple(namespace)
        self.created_at, self.updated_at = _time(created_at), _time(updated_at)

    def dict(self) -> dict[str, Any]:
        """All of it as plain data, times as ISO 8601."""
        return {
            "namespace": list(self.namespace),
            "key": self.key,
            "value": self.value,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Item) and all(getattr(self, name) == getattr(other, name) for name in Item.__slots__)

    def __hash__(self) -> int:
        return hash((self.namespace, self.key))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.dict().items())})"


class SearchItem(Item):
    """What a search found; ``score`` says how near it is to the query (1 is nearest), None where nothing was ranked."""

    __slots__ = ("score",)

    def __init__(
        self,
        namespace: Namespace,
        key: str,
        value: dict[str, Any],
        created_at: datetime | str,
        updated_at: datetime | str,
        score: float | None = None,
    ) -> None:
        super().__init__(value=value, key=key, namespace=namespace, created_at=created_at, updated_at=updated_at)
        self.score = score

    def dict(self) -> dict[str, Any]:
        return {**super().dict(), "score": self.score}


class GetOp(NamedTuple):
    """Read one item; with ``refresh_ttl`` its time to live starts again."""

    namespace: Namespace
    key: str
    refresh_ttl: bool = True


class SearchOp(NamedTuple):
    """Find items below a namespace.

    Attributes:
        namespace_prefix: () searches everything.
        filter: field of the value -> what it must equal, or ``{"$gt": 3}`` with $eq, $ne, $gt, $gte, $lt, $lte.
        limit: at most so many.
        offset: without the first so many.
        query: text; what is nearest in meaning comes first. Needs a store with an index.
        refresh_ttl: the time to live of what is found starts again.
    """

    namespace_prefix: Namespace
    filter: dict[str, Any] | None = None
    limit: int = 10
    offset: int = 0
    query: str | None = None
    refresh_ttl: bool = True


class MatchCondition(NamedTuple):
    """How a namespace begins ("prefix") or ends ("suffix")."""

    match_type: NamespaceMatchType
    path: NamespacePath


class ListNamespacesOp(NamedTuple):
    """List the namespaces that hold items and match all conditions, cut to ``max_depth`` labels, sorted."""

    match_conditions: tuple[MatchCondition, ...] | None = None
    max_depth: int | None = None
    limit: int = 100
    offset: int = 0


class PutOp(NamedTuple):
    """Store an item, or delete it.

    Attributes:
        value: None deletes.
        index: fields to find it by; None: the store's own; False: none.
        ttl: minutes since the last access after which it goes; None: never.
    """

    namespace: Namespace
    key: str
    value: Mapping[str, Any] | None
    index: Index = None  # type: ignore[assignment]
    ttl: float | None = None


Op: TypeAlias = GetOp | SearchOp | PutOp | ListNamespacesOp
Result: TypeAlias = Item | list[Item] | list[SearchItem] | list[tuple[str, ...]] | None


class TTLConfig(TypedDict, total=False):
    """How long items of a store live."""

    #: Reading starts an item's time again, unless the call says otherwise. Default: True.
    refresh_on_read: bool
    #: Accepted; expired items are never returned here.
    omit_expired: bool
    #: Minutes for items whose put says nothing; None: for ever.
    default_ttl: float | None
    #: Accepted; the stores of distgraph need no sweeping.
    sweep_interval_minutes: int | None


class IndexConfig(TypedDict, total=False):
    """How items are found by meaning."""

    #: Numbers in each vector.
    dims: int
    #: Texts -> vectors: a function, an async function, or an object with ``embed_documents`` and ``embed_query``.
    embed: Any
    #: Paths of the texts: "$" (the whole value, the default), "title", "meta.title", "parts[*].text", "parts[-1]".
    fields: list[str] | None


def validate_op_namespace(op: Op) -> None:
    """Check the labels of an operation that was made by hand.

    Raises:
        InvalidNamespaceError: a label is empty, no text, or holds a period.
    """
    if isinstance(op, GetOp | PutOp):
        check_labels(op.namespace)
    elif isinstance(op, SearchOp):
        check_labels(op.namespace_prefix)
    else:
        for condition in op.match_conditions or ():
            check_labels(condition.path)


def check_namespace(namespace: Namespace) -> None:
    """Refuse a namespace that nothing can be put into.

    Raises:
        InvalidNamespaceError: it is empty, begins with "langgraph", or has a label that is none.
    """
    if not namespace:
        raise InvalidNamespaceError("Namespace cannot be empty: give at least one label, as in ('users', '42').")
    check_labels(namespace)
    if namespace[0] == "langgraph":
        raise InvalidNamespaceError(f'Root label for namespace cannot be "langgraph". Got: {namespace}')


def check_labels(namespace: Any) -> None:
    """Refuse labels that are none.

    Raises:
        InvalidNamespaceError: one is empty, no text, or holds a period or a NUL character.
    """
    if isinstance(namespace, str):
        raise InvalidNamespaceError(f"A namespace is a tuple of labels, got the text {namespace!r}: ({namespace!r},).")
    for label in namespace:
        why = ""
        if not isinstance(label, str):
            why = f"Namespace labels must be strings, but got {type(label).__name__}"
        elif not label:
            why = "Namespace labels cannot be empty strings"
        elif "." in label:
            why = "Namespace labels cannot contain periods ('.')"
        elif "\0" in label:
            why = "Namespace labels cannot contain NUL bytes ('\\x00')"
        if why:
            raise InvalidNamespaceError(f"Invalid namespace label {label!r} found in {namespace}. {why}.")


def _time(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
