"""What the ledger promises about workers and graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from distgraph.ledger.keys import Keys


class Fleet(Protocol):
    """Workers that live, and graphs that were ever served."""

    @property
    def keys(self) -> Keys:
        """How many partitions there are."""
        ...

    def join(self) -> None:
        """Write, or check, the format and the number of partitions.

        Raises:
            LedgerCorruptError: the namespace was written with others.
        """
        ...

    def beat(self, boot: str, record: Mapping[str, Any], *, ttl_ms: int) -> None:
        """Say that a worker lives, and what it is (plain JSON); forgotten after ``ttl_ms``."""
        ...

    def leave(self, boot: str) -> None:
        """A worker ends in an orderly way."""
        ...

    def workers(self) -> dict[str, dict[str, Any]]:
        """Boot -> record of every worker that lives."""
        ...

    def count(self, what: str) -> None:
        """Count something that happens rarely, by name. A repeat may count it twice."""
        ...

    def counts(self) -> dict[str, int]:
        """What was counted, by name."""
        ...

    def failed(self, node: str, *, forget_ms: int) -> int:
        """Count a failure of a node; how many there are since it last worked. A repeat may count it twice.

        All counts are forgotten ``forget_ms`` after the last failure of any node.
        """
        ...

    def worked(self, node: str) -> None:
        """A node that failed has worked: none of its failures counts any more."""
        ...

    def failing(self) -> dict[str, int]:
        """Node -> its failures since it last worked."""
        ...

    def memory(self) -> tuple[int, int]:
        """(bytes the server holds, bytes it may hold; 0: no limit)."""
        ...

    def server(self) -> tuple[str, int]:
        """(an id that changes when the server starts anew, seconds since it did)."""
        ...

    def renew_file(self, server: str) -> None:
        """Have a server that started as ``server`` write its append-only file anew, unless it was asked since.

        One that lost power in the middle of a script has begun without that script's effects; but in its file they are
        cut off before their end, and what is appended there would be taken for their rest when it starts again
        (valkey pull request 4342: servers before August 2026). A new file has none of that.

        Raises:
            ServerAuthError, ServerSettingError: nobody may ask that of this server.
        """
        ...

    def serve(self, graphs: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
        """Record that graphs are served: (name, fingerprint) -> what a client must know. Kept for ever."""
        ...

    def is_served(self, name: str, fingerprint: str) -> bool:
        """Whether a graph was ever served in this version."""
        ...

    def served(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Graph name -> fingerprint -> what was told of it, of all graphs ever served."""
        ...
