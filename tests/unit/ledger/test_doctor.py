"""What the doctor says about a server, from what the server says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from distgraph.ledger.check import ServerReport
from distgraph.ledger.doctor import Finding, diagnose, judge
from distgraph.ledger.url import parse_url

pytestmark = pytest.mark.unit

GOOD = ServerReport(
    product="valkey",
    version="8.1.8",
    redis_version=(7, 2, 4),
    run_id="0" * 40,
    mode="standalone",
    primary=None,
    eviction_policy="noeviction",
    persistence="standard",
    appendfsync="everysec",
    snapshots=False,
    delayed_flushes=0,
    aof_write_ok=True,
    snapshot_write_ok=True,
    replicas=0,
    clients=10,
    max_clients=10_000,
    used_memory=50 * 2**20,
    max_memory=0,
    loading=None,
    clock_ahead=0.01,
)


def found(report: ServerReport, url: str = "redis://127.0.0.1") -> dict[str, Finding]:
    """The findings about ``report`` by their code."""
    return {finding.code: finding for finding in judge(report, parse_url(url))}


def test_a_good_server_has_nothing_to_repair() -> None:
    findings = found(GOOD)
    assert {finding.level for finding in findings.values()} == {"ok"}
    assert {"version", "eviction", "persistence", "memory", "clients", "auth", "clock"} <= set(findings)


def test_whatever_is_not_good_says_what_to_do() -> None:
    bad = replace(
        GOOD,
        version="7.2.5",
        eviction_policy=None,
        persistence="memory",
        aof_write_ok=False,
        snapshot_write_ok=False,
        clients=9_990,
        used_memory=99,
        max_memory=100,
        clock_ahead=-60,
    )
    findings = found(bad, "redis://10.0.0.1")
    wrong = [finding for finding in findings.values() if finding.level != "ok"]
    assert {finding.code for finding in wrong} == {
        *("version", "eviction", "persistence", "aof-write", "snapshot-write", "clients", "memory", "auth", "clock")
    }
    assert all(finding.fix for finding in wrong)


@pytest.mark.parametrize(
    ("report", "level", "says"),
    [
        (replace(GOOD, persistence="memory"), "warn", "level memory"),
        (replace(GOOD, persistence="memory", snapshots=True), "warn", "minutes old"),
        (GOOD, "ok", "level standard"),
        (replace(GOOD, appendfsync="no"), "warn", "30 s"),
        (replace(GOOD, delayed_flushes=3), "warn", "3 flushes have taken longer"),
        (replace(GOOD, persistence="fsync", appendfsync="always"), "ok", "level fsync"),
        (replace(GOOD, persistence="fsync", replicas=2), "ok", "Replicas that follow: 2"),
        (replace(GOOD, persistence=None), "warn", "could not be read"),
    ],
)
def test_the_persistence_level_is_named(report: ServerReport, level: str, says: str) -> None:
    finding = found(report)["persistence"]
    assert finding.level == level
    assert says in finding.message


@pytest.mark.parametrize(
    ("product", "version", "level"),
    [
        ("valkey", "8.1.8", "ok"),
        ("valkey", "8.1.3", "warn"),
        ("valkey", "9.1.1", "ok"),
        ("redis", "6.2.20", "ok"),
        ("redis", "6.2.19", "warn"),
        ("redis", "7.0.15", "warn"),
        ("redis", "7.4.6", "ok"),
        ("redis", "8.2.1", "warn"),
        ("redis", "8.6.3", "ok"),
        ("dragonfly", "1.2.3", "ok"),
    ],
)
def test_versions_with_the_hole_in_scripts_are_named(product: str, version: str, level: str) -> None:
    finding = found(replace(GOOD, product=product, version=version))["version"]
    assert finding.level == level
    assert version in finding.message


@pytest.mark.parametrize(
    ("url", "codes"),
    [
        ("redis://10.0.0.1", {"auth"}),
        ("redis://:password@10.0.0.1", {"tls"}),
        ("rediss://:password@10.0.0.1", set()),
        ("rediss://:password@10.0.0.1?ssl_cert_reqs=none", {"tls"}),
        ("redis://localhost", set()),
        ("unix:///run/redis.sock", set()),
    ],
)
def test_the_way_to_the_server(url: str, codes: set[str]) -> None:
    assert {finding.code for finding in judge(GOOD, parse_url(url)) if finding.level == "warn"} == codes


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (replace(GOOD, eviction_policy="allkeys-lru"), "server-setting"),
        (replace(GOOD, mode="cluster"), "server-setting"),
        (replace(GOOD, redis_version=(6, 0, 16)), "server-too-old"),
        (replace(GOOD, primary="10.0.0.1:6379"), "server-read-only"),
        (replace(GOOD, loading=12.0), "server-loading"),
    ],
)
def test_what_a_cluster_would_refuse_is_an_error(report: ServerReport, code: str) -> None:
    assert found(report)[code].level == "error"


def test_what_could_not_be_read_is_said() -> None:
    finding = found(replace(GOOD, unread=("INFO", "CONFIG")))["unread"]
    assert "INFO and CONFIG" in finding.message


def test_a_wrong_address_is_a_finding() -> None:
    [finding] = diagnose("http://:hunter2@host")
    assert (finding.level, finding.code) == ("error", "url")
    assert "hunter2" not in finding.message


def test_a_server_that_is_not_there_is_a_finding() -> None:
    [finding] = diagnose("unix:///no/such/socket")
    assert (finding.level, finding.code) == ("error", "server-unreachable")
