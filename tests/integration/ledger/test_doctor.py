"""The doctor on a real server."""

from __future__ import annotations

import pytest

from distgraph.ledger.connection import connect
from distgraph.ledger.doctor import diagnose, diagnose_broker
from distgraph.ledger.server import EmbeddedServer
from tests.waiting import wait_until

pytestmark = pytest.mark.integration


def test_a_server_of_our_own_is_healthy(server: EmbeddedServer) -> None:
    findings = {finding.code: finding for finding in diagnose(server.url)}
    # an old packaged server may be named for its version, rightly
    assert {code for code, finding in findings.items() if finding.level != "ok"} <= {"version"}
    assert "level standard" in findings["persistence"].message
    assert findings["scripts"].message == "Scripts run."


def test_all_that_is_wrong_is_found_at_once(server_program: str) -> None:
    with EmbeddedServer(binary=server_program, persistence="memory", password="secret") as own:
        with connect(own.url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
            client.config_set("maxmemory", 1)
        findings = diagnose(own.url)
    wrong = {finding.code: finding for finding in findings if finding.level != "ok" and finding.code != "version"}
    assert set(wrong) == {"server-setting", "persistence", "memory"}
    assert wrong["server-setting"].level == "error"
    assert "secret" not in str(findings)


def test_a_broker_may_forget_and_is_told_when_it_may_throw_away(server_program: str) -> None:
    with EmbeddedServer(binary=server_program, persistence="memory", password="secret") as own:
        with connect(own.url) as client:
            assert {finding.level for finding in diagnose_broker(own.url) if finding.code != "version"} == {"ok"}
            client.config_set("maxmemory-policy", "allkeys-lru")
        wrong = [finding for finding in diagnose_broker(own.url) if finding.level != "ok" and finding.code != "version"]
        [refused] = diagnose_broker(f"redis://:wrong@127.0.0.1:{own.port}/0")
    assert [(finding.level, finding.code) for finding in wrong] == [("warn", "eviction")]
    assert (refused.level, refused.code) == ("error", "server-auth")
    [other] = diagnose_broker("amqp://h//")
    assert (other.level, other.code) == ("error", "url")


def test_a_wrong_password_is_a_finding(server_program: str) -> None:
    with EmbeddedServer(binary=server_program, persistence="memory", password="secret") as own:
        [finding] = diagnose(f"redis://:wrong@127.0.0.1:{own.port}/0")
    assert (finding.level, finding.code) == ("error", "server-auth")


def test_a_snapshot_that_could_not_be_written_is_found(server_program: str) -> None:
    """The server takes no writes then, and says MISCONF to all of them."""
    with EmbeddedServer(binary=server_program) as own, connect(own.url) as client:
        (own.directory / "dump.rdb").mkdir()
        client.config_set("save", "3600 1")
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        findings = {finding.code: finding for finding in diagnose(own.url)}
        assert findings["snapshot-write"].level == "error"
        client.config_set("stop-writes-on-bgsave-error", "no")
        assert "snapshot-write" not in {finding.code for finding in diagnose(own.url)}
