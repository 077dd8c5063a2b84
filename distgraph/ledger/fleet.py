"""The namespace as a whole on the ledger: workers that live, graphs that were ever served."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from redis import ResponseError

from distgraph.errors import LedgerCorruptError
from distgraph.ledger import seam
from distgraph.ledger.connection import guard
from distgraph.ledger.keys import FORMAT, Keys
from distgraph.ledger.scripts import Scripts


class FleetLedger:
    """Who works in this namespace, and on what. The promises: :class:`distgraph.ledger.contract.Fleet`."""

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
            self.client.hsetnx(key, "format", str(FORMAT))
            self.client.hsetnx(key, "partitions", str(self.keys.partitions))
            found: Any = self.client.hmget(key, ["format", "partitions"])
        written, partitions = (value.decode() for value in found)
        if (written, partitions) != (str(FORMAT), str(self.keys.partitions)):
            raise LedgerCorruptError(
                f"Namespace {self.keys.namespace!r} has format {written} with {partitions} partitions; this version "
                f"reads format {FORMAT} with {self.keys.partitions}. Use another namespace or version."
            )

    # ------------------------------------------------------------- beats

    @seam.passes("beat")
    def beat(self, boot: str, record: Mapping[str, Any], *, ttl_ms: int) -> None:
        """Say that a worker lives, and what it is; forgotten after ``ttl_ms``."""
        with guard(), self.client.pipeline(transaction=False) as pipe:
            pipe.set(self.keys.shared("worker", boot), json.dumps(dict(record)), px=ttl_ms)
            pipe.sadd(self.keys.shared("workers"), boot)
            pipe.execute()

    def count(self, what: str) -> None:
        """Count something that happens rarely."""
        with guard():
            self.client.hincrby(self.keys.shared("counts"), what, 1)

    def counts(self) -> dict[str, int]:
        """What was counted, by name."""
        with guard():
            found: Any = self.client.hgetall(self.keys.shared("counts"))
        return {name.decode(): int(number) for name, number in found.items()}

    def failed(self, node: str, *, forget_ms: int) -> int:
        """Count a failure of a node; how many there are since it last worked."""
        key = self.keys.shared("failing")
        with guard(), self.client.pipeline(transaction=False) as pipe:
            pipe.hincrby(key, node, 1)
            pipe.pexpire(key, forget_ms)
            return int(pipe.execute()[0])

    def worked(self, node: str) -> None:
        """A node that failed has worked: none of its failures counts any more."""
        with guard():
            self.client.hdel(self.keys.shared("failing"), node)

    def failing(self) -> dict[str, int]:
        """Node -> its failures since it last worked."""
        with guard():
            found: Any = self.client.hgetall(self.keys.shared("failing"))
        return {name.decode(): int(number) for name, number in found.items()}

    @seam.passes("leave")
    def leave(self, boot: str) -> None:
        """A worker ends in an orderly way."""
        with guard(), self.client.pipeline(transaction=False) as pipe:
            pipe.delete(self.keys.shared("worker", boot))
            pipe.srem(self.keys.shared("workers"), boot)
            pipe.execute()

    def workers(self) -> dict[str, dict[str, Any]]:
        """Boot -> record of every worker that lives; drops those that do not from the index."""
        with guard():
            known: Any = self.client.smembers(self.keys.shared("workers"))
            boots = sorted(known)
            if not boots:
                return {}
            found: Any = self.client.mget([self.keys.shared("worker", boot.decode()) for boot in boots])
            dead = [boot for boot, record in zip(boots, found, strict=True) if record is None]
            if dead:
                self.client.srem(self.keys.shared("workers"), *dead)
        return {
            boot.decode(): json.loads(record) for boot, record in zip(boots, found, strict=True) if record is not None
        }

    def memory(self) -> tuple[int, int]:
        """(bytes the server holds, bytes it may hold; 0: no limit)."""
        with guard():
            info: Any = self.client.info("memory")
        return int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))

    def server(self) -> tuple[str, int]:
        """(the server process's own id: another one after a restart, seconds since it started)."""
        with guard():
            info: Any = self.client.info("server")
        return str(info.get("run_id", "")), int(info.get("uptime_in_seconds", 0))

    def renew_file(self, server: str) -> None:
        """Have a server that started as ``server`` write its append-only file anew, unless it was asked since."""
        key = self.keys.shared("meta")
        with guard():
            if self.client.hget(key, "renewed") == server.encode():
                return
            if int(self.client.info("persistence").get("aof_enabled", 0)):
                try:
                    self.client.bgrewriteaof()
                except ResponseError as exc:
                    # It is at it, since it started: another worker was first.
                    if "in progress" not in str(exc):
                        raise
            self.client.hset(key, "renewed", server)

    # ------------------------------------------------------------- graphs

    @seam.passes("serve")
    def serve(self, graphs: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
        """Record that graphs are served: (name, fingerprint) -> what a client must know of one it does not have.

        Kept for ever, as "served once" is what submit asks.
        """
        if graphs:
            told: Any = {
                f"{name}\n{fingerprint}": json.dumps(dict(about)) for (name, fingerprint), about in graphs.items()
            }
            with guard():
                self.client.hset(self.keys.shared("graphs"), mapping=told)

    def is_served(self, name: str, fingerprint: str) -> bool:
        """Whether a graph was ever served in this version."""
        with guard():
            return bool(self.client.hexists(self.keys.shared("graphs"), f"{name}\n{fingerprint}"))

    def served(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Graph name -> fingerprint -> what was told of it, of all graphs ever served in this namespace."""
        with guard():
            found: Any = self.client.hgetall(self.keys.shared("graphs"))
        out: dict[str, dict[str, dict[str, Any]]] = {}
        for field, about in found.items():
            name, _, fingerprint = field.decode().rpartition("\n")
            out.setdefault(name, {})[fingerprint] = json.loads(about)
        return out
