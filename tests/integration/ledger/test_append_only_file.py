"""A server that lost power in the middle of a script: neither half of it comes back, however often power is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from distgraph.errors import ServerAuthError
from distgraph.ledger.connection import connect
from distgraph.ledger.fleet import FleetLedger
from distgraph.ledger.keys import Keys
from distgraph.ledger.scripts import Scripts
from distgraph.ledger.server import EmbeddedServer
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

SCRIPT = "for _, key in ipairs(KEYS) do redis.call('SET', key, 'written') end"


@pytest.fixture
def server(server_program: str) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(binary=server_program) as running:
        yield running


def run_script(server: EmbeddedServer, *names: str) -> None:
    with connect(server.url) as client:
        client.eval(SCRIPT, len(names), *(f"dg:{{test}}:{name}" for name in names))


def found(server: EmbeddedServer) -> str:
    """Names of what was written."""
    with connect(server.url) as client:
        return "".join(sorted(key.decode()[-1] for key in client.keys("dg:{test}:*")))


def lose_power_in_a_script(server: EmbeddedServer) -> None:
    """The end of the file is cut off in the middle of the second of a script's effects."""
    run_script(server, "a", "b")
    server.kill()
    file = server.append_file
    written = file.read_bytes()
    file.write_bytes(written[: written.rindex(b"written")])
    server.restart()
    assert found(server) == ""


def renew(server: EmbeddedServer) -> None:
    """What a worker does that sees a server for the first time since it started."""
    with connect(server.url) as client:
        fleet = FleetLedger(Scripts(client), Keys("test"))
        fleet.renew_file(fleet.server()[0])


def rewrites(server: EmbeddedServer) -> bool:
    with connect(server.url) as client:
        told = client.info("persistence")
        return bool(told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"])


def test_half_a_script_does_not_come_back(server: EmbeddedServer) -> None:
    lose_power_in_a_script(server)
    renew(server)
    wait_until(lambda: not rewrites(server), what="the file is written anew")
    run_script(server, "c", "d")
    server.kill()
    server.restart()
    assert found(server) == "cd"


def test_it_is_asked_once_for_each_start(server: EmbeddedServer) -> None:
    renew(server)
    wait_until(lambda: not rewrites(server))
    with connect(server.url) as client:
        # Should it be asked again, that takes long enough to be seen.
        client.config_set("rdb-key-save-delay", "1000000")
        renew(server)
        assert not rewrites(server)
        server.restart()
    with connect(server.url) as client:
        client.config_set("rdb-key-save-delay", "1000000")
    renew(server)
    assert rewrites(server)
    renew(server)


def test_power_may_be_lost_while_the_file_is_written_anew(server: EmbeddedServer) -> None:
    """A server that finds the torn part in a file that is not the last one mends it, gives up, and is started again."""
    lose_power_in_a_script(server)
    with connect(server.url) as client:
        client.config_set("rdb-key-save-delay", "1000000")
        client.set("dg:{other}", "something that takes time to write")
    renew(server)
    run_script(server, "c", "d")
    assert rewrites(server)
    server.kill()
    server.restart()
    assert found(server) == "cd"


def test_a_file_that_is_not_there_is_not_written(server_program: str) -> None:
    with EmbeddedServer(binary=server_program, persistence="memory") as server:
        run_script(server, "a")
        renew(server)
        assert not rewrites(server)
        assert not [*server.directory.glob("appendonly*")]


def test_who_may_not_ask_is_told(server: EmbeddedServer) -> None:
    with connect(server.url) as client:
        client.execute_command("ACL", "SETUSER", "worker", "on", ">pass", "~*", "&*", "+@all", "-bgrewriteaof")
    with connect(server.url.replace("redis://", "redis://worker:pass@")) as client:
        fleet = FleetLedger(Scripts(client), Keys("test"))
        with pytest.raises(ServerAuthError, match="bgrewriteaof"):
            fleet.renew_file(fleet.server()[0])
