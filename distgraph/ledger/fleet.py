"""The namespace as a whole on the ledger: workers that live, graphs that were ever served."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from distgraph.errors import LedgerCorruptError
from distgraph.ledger.connection import guard
from distgraph.ledger.keys import PARTITIONS, Keys
from distgraph.ledger.scripts import Scripts

#: The layout written here. Another one is refused, not guessed at.
FORMAT = 1


class FleetLedger:
    """Who works in this namespace, and on what."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self.scripts, self.keys = scripts, keys
        self.client = scripts.client

    def join(self) -> None:
        """Write, or check, the format and the number of partitions.

        Raises:
            LedgerCorruptError: the namespace was written with another format or number of partitions.
        """
        key = self.keys.shared("meta")
        with guard():
            self.client.hsetnx(key, "format", FORMAT)  # type: ignore[arg-type]
            self.client.hsetnx(key, "partitions", PARTITIONS)  # type: ignore[arg-type]
            found: Any = self.client.hmget(key, ["format", "partitions"])
        if [int(value) for value in found] != [FORMAT, self.keys.partitions]:
            raise LedgerCorruptError(
                f"Namespace {self.keys.namespace!r} has format {int(found[0])} with {int(found[1])} partitions; this "
                f"version reads format {FORMAT} with {self.keys.partitions}. Use another namespace or version."
            )

    # ------------------------------------------------------------- beats

    def beat(self, boot: str, record: Mapping[str, Any], *, ttl_ms: int) -> None:
        """Say that a worker lives, and what it is; forgotten after ``ttl_ms``."""
        with guard(), self.client.pipeline(transaction=False) as pipe:
            pipe.set(self.keys.shared("worker", boot), json.dumps(dict(record)), px=ttl_ms)
            pipe.sadd(self.keys.shared("workers"), boot)
            pipe.execute()

    def leave(self, boot: str) -> None:
        """A worker ends in an orderly way."""
        with guard(), self.client.pipeline(transaction=False) as pipe:
            pipe.delete(self.keys.shared("worker", boot))
            pipe.srem(self.keys.shared("workers"), boot)
            pipe.execute()

    def workers(self) -> dict[str, dict[str, Any]]:
        """Boot -> record of every worker that lives; drops those that do not from the index."""
        with guard():
            boots: Any = sorted(self.client.smembers(self.keys.shared("workers")))  # type: ignore[arg-type]
            if not boots:
                return {}
            found: Any = self.client.mget([self.keys.shared("worker", boot.decode()) for boot in boots])
            dead = [boot for boot, record in zip(boots, found, strict=True) if record is None]
            if dead:
                self.client.srem(self.keys.shared("workers"), *dead)
        return {
            boot.decode(): json.loads(record) for boot, record in zip(boots, found, strict=True) if record is not None
        }

    def server_id(self) -> str:
        """The server process's own id: another one after a restart."""
        with guard():
            info: Any = self.client.info("server")
        return str(info.get("run_id", ""))

    # ------------------------------------------------------------- graphs

    def serve(self, graphs: Mapping[str, str]) -> None:
        """Record that graphs (name -> fingerprint) are served; kept for ever, as "served once" is what submit asks."""
        key = self.keys.shared("graphs")
        with guard():
            for name, fingerprint in graphs.items():
                self.client.hset(key, f"{name}\n{fingerprint}", "1")

    def served(self) -> dict[str, set[str]]:
        """Graph name -> fingerprints ever served in this namespace."""
        with guard():
            found: Any = self.client.hkeys(self.keys.shared("graphs"))
        out: dict[str, set[str]] = {}
        for field in found:
            name, _, fingerprint = field.decode().rpartition("\n")
            out.setdefault(name, set()).add(fingerprint)
        return out
