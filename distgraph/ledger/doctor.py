"""What is good about a server and what is not: findings, each with its remedy. Showing them is left to the CLI."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from distgraph.errors import ConfigError, StoreError
from distgraph.ledger.check import ServerReport, probe_scripts, problems, read_report
from distgraph.ledger.connection import connect
from distgraph.ledger.url import ServerURL, parse_broker_url, parse_url

Level = Literal["ok", "warn", "error"]

#: Share of a limit from which on it is near.
NEAR = 0.85
#: Connections of one worker process: state, broker, its pool, its beats.
CONNECTIONS_OF_A_WORKER = 16
#: Seconds between two clocks from which on times in lists and logs mislead.
CLOCK_SKEW = 2.0

#: CVE-2025-49844: a user who may run scripts can run code on the server. First fixed patch of each series.
_SCRIPT_FIX: dict[str, dict[tuple[int, int], int]] = {
    "redis": {(6, 2): 20, (7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2},
    "valkey": {(7, 2): 11, (8, 0): 6, (8, 1): 4},
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``code`` is stable; ``fix`` says what to do, and is empty where nothing is to be done."""

    level: Level
    code: str
    message: str
    fix: str = ""


def diagnose(url: str) -> list[Finding]:
    """Look at the server at ``url``. Raises nothing: what cannot be looked at is a finding as well."""
    try:
        server = parse_url(url)
    except ConfigError as error:
        return [Finding("error", "url", str(error))]
    findings: list[Finding] = []
    try:
        with connect(url, client_name="distgraph-doctor") as client:
            report = read_report(client, where=str(server))
            findings += judge(report, server)
            if not problems(report):
                findings.append(_scripts(probe_scripts(client, where=str(server))))
    except StoreError as error:
        findings.append(_refused(error))
    return findings


def diagnose_broker(url: str) -> list[Finding]:
    """Look at the server at ``url``, which holds hints alone: what it loses or throws away is hinted again."""
    try:
        server = parse_broker_url(url)
    except ConfigError as error:
        return [Finding("error", "url", str(error))]
    try:
        with connect(url, client_name="distgraph-doctor") as client:
            report = read_report(client, where=str(server))
    except StoreError as error:
        return [_refused(error)]
    return [
        *map(_refused, problems(report, allow_eviction=True)),
        *_version(report),
        *_broker_eviction(report),
        *_memory(report),
        *_clients(report),
        *_access(server),
        *_unread(report),
    ]


def _refused(error: StoreError) -> Finding:
    return Finding("error", error.code.lower().replace("_", "-"), str(error))


def _broker_eviction(report: ServerReport) -> Iterator[Finding]:
    if report.eviction_policy not in (None, "noeviction"):
        yield Finding(
            "warn",
            "eviction",
            f"maxmemory-policy {report.eviction_policy} may throw messages away; work then waits for a sweep.",
            "Set maxmemory-policy noeviction.",
        )


def judge(report: ServerReport, server: ServerURL) -> list[Finding]:
    """Findings about what a server says of itself, and about how it is reached."""
    return [
        *map(_refused, problems(report)),
        *_version(report),
        *_eviction(report),
        *_persistence(report),
        *_memory(report),
        *_clients(report),
        *_access(server),
        *_clock(report),
        *_unread(report),
    ]


def _scripts(proven: bool) -> Finding:
    if proven:
        return Finding("ok", "scripts", "Scripts run.")
    return Finding("ok", "scripts", "This user may not load scripts, so whether they run was not tried.")


def _version(report: ServerReport) -> Iterator[Finding]:
    name = f"{report.product} {report.version or '(version unknown)'}"
    fixed = _SCRIPT_FIX.get(report.product, {})
    numbers = tuple(int(part) for part in (report.version or "").split(".")[:3] if part.isdigit())
    if fixed and len(numbers) == 3 and numbers < _first_safe(fixed, numbers):
        safe = ", ".join(f"{major}.{minor}.{patch}" for (major, minor), patch in fixed.items())
        yield Finding(
            "warn",
            "version",
            f"{name} is open to CVE-2025-49844, unless its distributor repaired it: who may run scripts may run code.",
            f"Update to one of {safe}, or newer; let nobody but distgraph's users reach the server.",
        )
    else:
        yield Finding("ok", "version", f"{name}.")


def _first_safe(fixed: dict[tuple[int, int], int], version: tuple[int, ...]) -> tuple[int, ...]:
    """The first repaired release from the series of ``version`` on; a series without one has it in the next."""
    series = min((known for known in fixed if known >= version[:2]), default=None)
    return (*series, fixed[series]) if series is not None else (0,)


def _eviction(report: ServerReport) -> Iterator[Finding]:
    if report.eviction_policy == "noeviction":
        yield Finding("ok", "eviction", "Nothing is thrown away when memory is full (noeviction).")
    elif report.eviction_policy is None:
        yield Finding("warn", "eviction", "The eviction policy could not be read.", "Make sure that it is noeviction.")


def _persistence(report: ServerReport) -> Iterator[Finding]:
    setting = "Set appendonly yes and appendfsync everysec (or always)."
    if report.persistence is None:
        yield Finding("warn", "persistence", "Whether state is kept on disk could not be read.", setting)
    elif report.persistence == "memory":
        also = " Its snapshots keep a state that is minutes old." if report.snapshots else ""
        message = f"Persistence level memory: when the server ends, all runs are lost.{also}"
        yield Finding("warn", "persistence", message, setting)
    elif report.persistence == "fsync":
        yield Finding("ok", "persistence", f"Persistence level fsync: power loss loses nothing.{_copies(report)}")
    elif report.appendfsync == "no":
        message = "Persistence level standard, but appendfsync is no: power loss loses about 30 s, not 2 s."
        yield Finding("warn", "persistence", message, "Set appendfsync everysec.")
    elif report.delayed_flushes:
        yield Finding(
            "warn",
            "persistence",
            f"Persistence level standard, but {report.delayed_flushes} flushes have taken longer than 2 s since the server "
            "started: if it is killed in such a moment, that loses as much as power loss does.",
            "Give the append-only file a quicker disk, or one that nothing else uses.",
        )
    else:
        message = "Persistence level standard: a killed server loses milliseconds at most, power loss up to about 2 s."
        yield Finding("ok", "persistence", message + _copies(report))
    if report.aof_write_ok is False:
        yield Finding(
            "error",
            "aof-write",
            "The server could not write its append-only file, and refuses writes until it can.",
            "Look for a full or failing disk; the server's log says which.",
        )
    if report.snapshot_write_ok is False:
        yield Finding(
            "error",
            "snapshot-write",
            "The server could not write its last snapshot, and refuses writes until it can (MISCONF): all work waits.",
            "Look for a full or failing disk, then BGSAVE. With an append-only file, CONFIG SET save '' does as well.",
        )


def _copies(report: ServerReport) -> str:
    if not report.replicas:
        return ""
    return f" Replicas that follow: {report.replicas}; after a failover the last writes may be missing."


def _memory(report: ServerReport) -> Iterator[Finding]:
    used, limit = report.used_memory, report.max_memory
    if used is None or limit is None:
        return
    if limit and used > NEAR * limit:
        yield Finding(
            "warn",
            "memory",
            f"{used / limit:.0%} of maxmemory is used; at 100 % no run can go on.",
            "Raise maxmemory, delete finished batches, or keep fewer checkpoints.",
        )
    else:
        share = f"{used / limit:.0%} of maxmemory" if limit else f"{used / 2**20:.0f} MiB, maxmemory is not set"
        yield Finding("ok", "memory", f"Memory in use: {share}.")


def _clients(report: ServerReport) -> Iterator[Finding]:
    clients, limit = report.clients, report.max_clients
    if clients is None or not limit:
        return
    if limit - clients < CONNECTIONS_OF_A_WORKER or clients > NEAR * limit:
        needed = f"a worker process needs up to {CONNECTIONS_OF_A_WORKER}"
        fix = "Raise maxclients (and the server's ulimit -n)."
        yield Finding("warn", "clients", f"{clients} of {limit} connections are in use; {needed}.", fix)
    else:
        yield Finding("ok", "clients", f"{clients} of {limit} connections are in use.")


def _access(server: ServerURL) -> Iterator[Finding]:
    if server.is_local:
        yield Finding("ok", "auth", "The server is on this machine.")
    elif server.password is None:
        yield Finding(
            "warn",
            "auth",
            f"{server.host} is reached without a password: whoever reaches it too can read and change every run.",
            "Set a password or ACL users, and keep the port inside a private network.",
        )
    elif server.scheme == "redis":
        message = f"Password and state travel to {server.host} unencrypted."
        yield Finding("warn", "tls", message, "Use rediss:// unless the network between is trusted.")
    else:
        yield Finding("ok", "auth", "Password and TLS are used.")
    if not server.verifies:
        message = "The server's certificate is not fully verified, so anybody on the way may pose as the server."
        yield Finding("warn", "tls", message, "Give its authority with ssl_ca_certs=PATH instead.")


def _clock(report: ServerReport) -> Iterator[Finding]:
    ahead = report.clock_ahead
    if abs(ahead) <= CLOCK_SKEW:
        yield Finding("ok", "clock", "The server's clock agrees with this machine's.")
        return
    message = f"The server's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's."
    harm = "Deadlines follow the server's and stay right; times in lists and logs mislead."
    yield Finding("warn", "clock", f"{message} {harm}", "Run NTP on both.")


def _unread(report: ServerReport) -> Iterator[Finding]:
    if report.unread:
        names = " and ".join(report.unread)
        message = f"This user may not call {names}: what only they tell was not checked."
        yield Finding("ok", "unread", message)
