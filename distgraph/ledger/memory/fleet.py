"""The twin's fleet. What it promises is written in :class:`distgraph.ledger.contract.Fleet`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgpack import unpackb

from distgraph.ledger.keys import FORMAT, Keys
from distgraph.ledger.memory.tables import State, atomic, packed


class MemoryFleet:
    """Who works in this namespace, and on what."""

    def __init__(self, state: State) -> None:
        self.state = state

    @property
    def keys(self) -> Keys:
        """How many partitions there are."""
        return self.state.keys

    @atomic
    def join(self) -> None:
        """Write the format and the number of partitions; nobody else can have written others."""
        self.state.format.write((("format", FORMAT), ("partitions", self.keys.partitions)))

    @atomic
    def beat(self, boot: str, record: Mapping[str, Any], *, ttl_ms: int) -> None:
        self.state.beats[boot] = (self.state.now_ms() + ttl_ms, packed(record))

    @atomic
    def count(self, what: str) -> None:
        self.state.counts[what] = self.state.counts.get(what, 0) + 1

    @atomic
    def counts(self) -> dict[str, int]:
        return dict(self.state.counts)

    @atomic
    def failed(self, node: str, *, forget_ms: int) -> int:
        found = self.failing()
        self.state.failing[""] = (self.state.now_ms() + forget_ms, {**found, node: found.get(node, 0) + 1})
        return found.get(node, 0) + 1

    @atomic
    def worked(self, node: str) -> None:
        until, found = self.state.failing.get("", (0, {}))
        self.state.failing[""] = (until, {name: number for name, number in found.items() if name != node})

    @atomic
    def failing(self) -> dict[str, int]:
        until, found = self.state.failing.get("", (0, {}))
        return dict(found) if until > self.state.now_ms() else {}

    @atomic
    def leave(self, boot: str) -> None:
        self.state.beats.drop(boot)

    @atomic
    def workers(self) -> dict[str, dict[str, Any]]:
        now = self.state.now_ms()
        for boot in [boot for boot, (until, _) in self.state.beats.items() if until <= now]:
            self.state.beats.drop(boot)
        return {boot: unpackb(record) for boot, (_, record) in sorted(self.state.beats.items())}

    def memory(self) -> tuple[int, int]:
        """The twin has no limit."""
        return 0, 0

    @atomic
    def server(self) -> tuple[str, int]:
        return f"memory-{self.state.starts}", (self.state.now_ms() - self.state.started_ms) // 1000

    def renew_file(self, server: str) -> None:
        """The twin has no file."""

    @atomic
    def serve(self, graphs: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
        for graph, about in graphs.items():
            self.state.graphs[graph] = packed(about)

    @atomic
    def is_served(self, name: str, fingerprint: str) -> bool:
        return (name, fingerprint) in self.state.graphs

    @atomic
    def served(self) -> dict[str, dict[str, dict[str, Any]]]:
        out: dict[str, dict[str, dict[str, Any]]] = {}
        for (name, fingerprint), about in sorted(self.state.graphs.items()):
            out.setdefault(name, {})[fingerprint] = unpackb(about)
        return out
