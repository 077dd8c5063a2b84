"""Is this a server that distgraph can keep its state in, and how safe is the state there?"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import redis
from redis import exceptions as raw
from redis.backoff import NoBackoff
from redis.retry import Retry

from distgraph.errors import (
    ServerLoadingError,
    ServerReadOnlyError,
    ServerSettingError,
    ServerTooOldError,
    StoreError,
)
from distgraph.ledger.faults import guard

#: LPOP with a count, ZRANGE BYSCORE (which the broker's transport uses too)
OLDEST = (6, 2)
#: Seconds for connecting and for each answer: whoever is silent longer is not taken for a server.
PATIENCE = 2.0

#: What survives: nothing; a killed process (append-only file, flushed every second); power loss (flushed always).
Persistence = Literal["memory", "standard", "fsync"]

# Writes nothing: the list does not exist. Refused where scripts, writes or 6.2's commands are.
_PROBE = b"redis.call('TIME') redis.call('LPOP', KEYS[1], 1) return 1"
_PROBE_KEY = "dg:{probe}:none"


@dataclass(frozen=True, slots=True)
class ServerReport:
    """What a server says about itself. ``None``: it does not say; ``unread`` names what could not be read."""

    product: str
    #: as the product counts, for people
    version: str | None
    #: as Redis counts, for comparisons
    redis_version: tuple[int, ...] | None
    #: changes with every start of the server
    run_id: str | None
    #: "standalone", "cluster" or "sentinel"
    mode: str
    #: address of the primary if the server is a replica
    primary: str | None
    eviction_policy: str | None
    persistence: Persistence | None
    appendfsync: str | None
    #: snapshots (RDB) are written now and then
    snapshots: bool | None
    #: flushes of the append-only file that took longer than 2 s; what is written meanwhile is in the server's memory alone
    delayed_flushes: int | None
    aof_write_ok: bool | None
    #: False: the last snapshot could not be written, and the server takes no writes until one can (MISCONF)
    snapshot_write_ok: bool | None
    replicas: int | None
    clients: int | None
    max_clients: int | None
    #: bytes
    used_memory: int | None
    #: bytes; 0: no limit
    max_memory: int | None
    #: percent, while the server loads its data
    loading: float | None
    #: seconds that the server's clock is ahead of this machine's
    clock_ahead: float
    unread: tuple[str, ...] = ()


def check_server(client: redis.Redis, *, where: str = "", allow_eviction: bool = False) -> ServerReport:
    """Ask the server what it is, and refuse one that would lose state or cannot hold it.

    Args:
        client: how to reach it; the question itself uses a connection of its own, without retries.
        where: the address, for the text of errors.
        allow_eviction: accept an eviction policy that may throw state away.

    Raises:
        StoreError: it cannot be reached, is no Redis (answered within 5 s), is too old, a replica, a cluster, still
            loading, has no scripts, or evicts keys.
    """
    report = read_report(client, where=where)
    found = problems(report, where=where, allow_eviction=allow_eviction)
    if found:
        raise found[0]
    probe_scripts(client, where=where)
    return report


def problems(report: ServerReport, *, where: str = "", allow_eviction: bool = False) -> list[StoreError]:
    """Why the server of ``report`` is refused; empty if it is not."""
    at = f" at {where}" if where else ""
    found: list[StoreError] = []
    if report.loading is not None:
        found.append(
            ServerLoadingError(
                f"The server{at} is still loading its data ({report.loading:.0f} %). Try again when it is done."
            )
        )
    if report.mode != "standalone":
        found.append(
            ServerSettingError(
                f"The server{at} runs as {report.mode}. distgraph and its broker need one primary: give the address "
                "of a server that is neither a cluster node nor a Sentinel."
            )
        )
    if report.redis_version is not None and report.redis_version < OLDEST:
        needed = ".".join(map(str, OLDEST))
        found.append(
            ServerTooOldError(
                f"The server{at} is {report.product} {report.version}; distgraph needs Redis {needed} or newer, or "
                "any Valkey. Update the server."
            )
        )
    if report.primary is not None:
        found.append(
            ServerReadOnlyError(
                f"The server{at} is a read-only replica. Give the address of its primary, {report.primary}."
            )
        )
    if report.eviction_policy not in (None, "noeviction") and not allow_eviction:
        found.append(
            ServerSettingError(
                f"The server{at} has maxmemory-policy {report.eviction_policy}: when memory is full it throws away "
                "keys, and with them the state of runs. Set it to noeviction (CONFIG SET maxmemory-policy noeviction, "
                "and in the server's configuration file)."
            )
        )
    return found


def read_report(client: redis.Redis, *, where: str = "") -> ServerReport:
    """What the server says about itself, judged by nobody.

    Raises:
        StoreError: it cannot be reached, refuses the user, or is no Redis.
    """
    with guard(where), impatient(client) as patient:
        unread: list[str] = []
        info = _info(patient, unread)
        config = _config(patient, unread)
        seconds, microseconds = patient.time()
        ahead = seconds + microseconds / 1e6 - time.time()
    return _report(info, config, ahead, tuple(unread))


def probe_scripts(client: redis.Redis, *, where: str = "") -> bool:
    """True if scripts run. False if the user may neither load scripts nor touch the probe's key, which proves nothing.

    Raises:
        StoreError: scripts are disabled, or the server refuses writes.
    """
    with guard(where), impatient(client) as patient:
        try:
            digest = patient.script_load(_PROBE)
            patient.execute_command("EVALSHA", digest, 1, _PROBE_KEY)
        except raw.NoPermissionError as error:
            # users who may only run loaded scripts, on the keys of one namespace, are the recommended kind
            if re.search(r"script|\bkeys?\b", str(error)):
                return False
            raise
    return True


def impatient(client: redis.Redis) -> redis.Redis:
    """A client for the same server that answers or gives up soon, after one try."""
    pool = client.connection_pool
    settings = {
        **pool.connection_kwargs,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": PATIENCE,
        "socket_connect_timeout": PATIENCE,
        # its PING would be refused by a server that is loading, which INFO tells more about
        "health_check_interval": 0,
    }
    return redis.Redis.from_pool(redis.ConnectionPool(connection_class=pool.connection_class, **settings))


def _info(client: redis.Redis, unread: list[str]) -> Mapping[str, Any]:
    try:
        return client.info()
    except raw.ResponseError as error:
        if not _withheld(error):
            raise
        unread.append("INFO")
    # HELLO is allowed to users who may not see INFO
    asker: Any = client
    hello = asker.execute_command("HELLO")
    pairs = hello.items() if isinstance(hello, dict) else zip(hello[::2], hello[1::2], strict=True)
    said = {_text(name): _text(value) for name, value in pairs}
    role = {"replica": "slave"}.get(said.get("role", ""), said.get("role"))
    return {
        "redis_mode": said.get("mode", "standalone"),
        "role": role,
        "redis_version" if said.get("server") == "redis" else "other_version": said.get("version"),
        "server_name": said.get("server"),
    }


def _config(client: redis.Redis, unread: list[str]) -> Mapping[str, str]:
    try:
        found: dict[Any, Any] = {}
        for names in ("append*", "save", "maxclients", "stop-writes*"):
            found |= client.config_get(names)
    except raw.ResponseError as error:
        if not _withheld(error):
            raise
        unread.append("CONFIG")
        return {}
    return {_text(name): _text(value) for name, value in found.items()}


def _withheld(error: Exception) -> bool:
    """True where a command is not permitted, or renamed as hosted servers do."""
    return isinstance(error, raw.NoPermissionError) or "unknown command" in str(error).lower()


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _report(info: Mapping[str, Any], config: Mapping[str, str], ahead: float, unread: tuple[str, ...]) -> ServerReport:
    product, version = _product(info)
    save = config.get("save")
    loading = float(info.get("loading_loaded_perc", 0)) if info.get("loading") else None
    return ServerReport(
        product=product,
        version=version,
        redis_version=_numbers(info.get("redis_version")),
        run_id=info.get("run_id"),
        mode="cluster" if info.get("cluster_enabled") else str(info.get("redis_mode", "standalone")),
        primary=_primary(info) if info.get("role") == "slave" else None,
        eviction_policy=info.get("maxmemory_policy"),
        persistence=_persistence(info, config),
        appendfsync=config.get("appendfsync"),
        snapshots=None if save is None else bool(save.strip()),
        delayed_flushes=info.get("aof_delayed_fsync"),
        aof_write_ok=None if "aof_last_write_status" not in info else info["aof_last_write_status"] == "ok",
        snapshot_write_ok=_snapshot_write_ok(info, config),
        replicas=info.get("connected_slaves"),
        clients=info.get("connected_clients"),
        max_clients=int(config["maxclients"]) if "maxclients" in config else info.get("maxclients"),
        used_memory=info.get("used_memory"),
        max_memory=info.get("maxmemory"),
        loading=loading,
        clock_ahead=ahead,
        unread=unread,
    )


def _snapshot_write_ok(info: Mapping[str, Any], config: Mapping[str, str]) -> bool | None:
    if "rdb_last_bgsave_status" not in info:
        return None
    stops = config.get("stop-writes-on-bgsave-error", "yes") == "yes" and bool(config.get("save", "").strip())
    return info["rdb_last_bgsave_status"] == "ok" or not stops


def _primary(info: Mapping[str, Any]) -> str:
    if "master_host" not in info:
        return "which it does not name"
    return f"{info['master_host']}:{info.get('master_port')}"


def _product(info: Mapping[str, Any]) -> tuple[str, str | None]:
    """Name and version for people. Forks also state the version of Redis they are compatible with."""
    for name in ("valkey", "dragonfly", "keydb"):
        version = info.get(f"{name}_version")
        if version or info.get("server_name") == name:
            return name, str(version or info.get("other_version") or "") or None
    version = info.get("redis_version")
    return "redis", str(version) if version else None


def _numbers(version: object) -> tuple[int, ...] | None:
    found = re.match(r"\d+(?:\.\d+)*", str(version or ""))
    return tuple(int(part) for part in found[0].split(".")) if found else None


def _persistence(info: Mapping[str, Any], config: Mapping[str, str]) -> Persistence | None:
    aof = config.get("appendonly") == "yes" if "appendonly" in config else info.get("aof_enabled")
    if aof is None:
        return None
    if not aof:
        return "memory"
    # where appendfsync cannot be read, the weaker level is the one that can be vouched for
    return "fsync" if config.get("appendfsync") == "always" else "standard"
