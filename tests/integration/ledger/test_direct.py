"""Script calls on connections of their own: what a connection can go through between two calls, and during one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from distgraph.errors import ServerUnreachableError, StoreError
from distgraph.ledger.connection import connect
from distgraph.ledger.direct import MOST_BYTES, MOST_UNREAD, DirectScripts
from distgraph.ledger.keys import Keys
from distgraph.ledger.scripts import Call
from tests.servers import free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[Any]:
    with connect(redis_url, client_name=f"direct-{namespace}") as client:
        yield client


@pytest.fixture
def scripts(client: Any) -> DirectScripts:
    return DirectScripts(client)


def look(namespace: str, checkpoint_id: str = "") -> Call:
    """Asks for a checkpoint that is not there: an empty list."""
    keys = Keys(namespace)
    return Call("look", (keys.line("t"), keys.of("t", "pend", "t", "")), (checkpoint_id,))


def put(namespace: str, head: str) -> Call:
    keys = Keys(namespace)
    return Call(
        "put",
        (keys.line("t"), keys.of("t", "pend", "t", ""), keys.of("t", "hist", "t", "")),
        (head, "", "", 1, "", 0, 0, "", f"c:{head}", head),
    )


def drop(namespace: str) -> Call:
    keys = Keys(namespace)
    parts = (keys.of("t", "pend", "t", ""), keys.of("t", "hist", "t", ""), keys.of("t", "turns", "t"))
    return Call("drop_thread", (keys.line("t"), *parts, keys.ages(keys.partition("t"))), ("t",))


def own(client: Any, namespace: str) -> list[str]:
    """Addresses of this client's connections, as the server sees them."""
    return [one["addr"] for one in client.client_list() if one["name"] == f"direct-{namespace}"]


def test_calls_are_answered_in_their_order(scripts: DirectScripts, namespace: str) -> None:
    replies = scripts.run_all([put(namespace, "1"), look(namespace), look(namespace, "none"), drop(namespace)])
    assert [reply[:1] for reply in replies] == [[b"ok"], [b"1"], [], [b"ok"]]


def test_scripts_are_sent_when_the_server_lacks_them(scripts: DirectScripts, client: Any, namespace: str) -> None:
    client.script_flush()
    assert scripts.run(look(namespace)) == []
    client.script_flush()
    assert scripts.run_all([look(namespace), look(namespace)]) == [[], []]


def test_a_connection_that_was_cut_is_made_anew(scripts: DirectScripts, client: Any, namespace: str) -> None:
    scripts.run(look(namespace))
    with redis.Redis.from_pool(client.connection_pool) as other:
        other.client_kill_filter(_type="normal", skipme=True)
    assert scripts.run(look(namespace)) == []


def test_an_error_of_one_call_leaves_the_next_ones_their_replies(
    scripts: DirectScripts, client: Any, namespace: str
) -> None:
    wrong = Call("look", ("only one key",), ())
    with pytest.raises(StoreError):
        scripts.run_all([look(namespace), wrong, look(namespace)])
    assert scripts.run_all([put(namespace, "1"), look(namespace), drop(namespace)])[1][0] == b"1"


def test_an_interrupted_call_does_not_leave_its_reply_to_the_next(
    scripts: DirectScripts, client: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between sending and reading."""
    scripts.run(look(namespace))
    kind = client.connection_pool.connection_class

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kind, "read_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            scripts.run(put(namespace, "1"))
    assert scripts.run(look(namespace, "none")) == []
    scripts.run(drop(namespace))


def test_as_many_connections_as_calls_at_once(scripts: DirectScripts, client: Any, namespace: str) -> None:
    scripts.load()

    def work(n: int) -> bool:
        return all(scripts.run(look(namespace, f"{n}")) == [] for _ in range(50))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(32)))
    assert len(own(client, namespace)) <= 9


def test_a_forked_child_has_connections_of_its_own(scripts: DirectScripts, client: Any, namespace: str) -> None:
    scripts.run(look(namespace))
    before = set(own(client, namespace))
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if scripts.run(put(namespace, "1"))[0] == b"ok" else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert scripts.run(look(namespace))[0] == b"1"
    assert before <= set(own(client, namespace))
    scripts.run(drop(namespace))


def test_closing_the_client_closes_them(scripts: DirectScripts, redis_url: str, client: Any, namespace: str) -> None:
    scripts.run(look(namespace))
    client.close()
    with connect(redis_url) as other:
        assert own(other, namespace) == []
    assert scripts.run(look(namespace)) == []


def test_an_interruption_right_after_sending_does_not_leave_the_reply_to_the_next(
    scripts: DirectScripts, client: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts.run(look(namespace))
    kind = client.connection_pool.connection_class
    send = kind.send_packed_command

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> Any:
        send(self, *args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kind, "send_packed_command", interrupted)
        with pytest.raises(KeyboardInterrupt):
            scripts.run(put(namespace, "1"))
    assert scripts.run(look(namespace, "none")) == []
    scripts.run(drop(namespace))


# ------------------------------------------------------------------ ahead of their replies


def test_a_forked_child_leaves_its_parent_the_replies(scripts: DirectScripts, client: Any, namespace: str) -> None:
    """A child that goes on where its parent is sends again what has no reply yet."""
    scripts.load()
    scripts.run(look(namespace))
    ahead, before = scripts.ahead(), set(own(client, namespace))
    ahead.send([put(namespace, "1"), put(namespace, "2")])
    child = os.fork()
    if child == 0:
        try:
            ahead.wait()
            os._exit(0 if ahead.replies() == [[b"ok"]] * 2 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    ahead.wait()
    assert ahead.replies() == [[b"ok"]] * 2
    assert before <= set(own(client, namespace)), "the parent's connection was not made anew"
    scripts.run(drop(namespace))


def heads(scripts: DirectScripts, namespace: str, last: int) -> bool:
    """Whether a hundred checkpoints up to this one are there, in whatever way they came."""
    found = scripts.run_all([look(namespace), *(look(namespace, f"{n}") for n in range(100, last + 1))])
    return found[0][0] == f"{last}".encode() and all(reply for reply in found)


def test_calls_go_ahead_of_their_replies(scripts: DirectScripts, client: Any, namespace: str) -> None:
    ahead, came = scripts.ahead(), 0
    for n in range(100, 200):
        ahead.send([put(namespace, f"{n}")])
        came += len(ahead.replies())
    assert 100 - MOST_UNREAD <= came < 100
    ahead.wait()
    assert ahead.replies() == [[b"ok"]] * (100 - came)
    assert heads(scripts, namespace, 199)
    assert len(own(client, namespace)) <= 2, "its connection went back"
    scripts.run(drop(namespace))


def test_large_calls_are_waited_for(scripts: DirectScripts, namespace: str) -> None:
    """What may have to be sent again takes memory here."""
    ahead, key = scripts.ahead(), Keys(namespace).line("t")
    large = [Call("look", (key, key), ("x" * (MOST_BYTES // 3),))] * 4
    for call in large[:3]:
        ahead.send([call])
    assert ahead.replies() == [[], [], []]
    ahead.send([large[3]])
    assert ahead.replies() == []
    ahead.wait()
    assert ahead.replies() == [[]]


def test_what_has_no_reply_is_sent_again_when_the_connection_is_cut(
    scripts: DirectScripts, client: Any, redis_url: str, namespace: str
) -> None:
    ahead = scripts.ahead()
    with connect(redis_url) as other:
        for n in range(100, 200):
            ahead.send([put(namespace, f"{n}")])
            if n % 10 == 9:
                for address in own(other, namespace):
                    other.client_kill_filter(addr=address)
    ahead.wait()
    assert ahead.replies() == [[b"ok"]] * 100
    assert heads(scripts, namespace, 199)
    scripts.run(drop(namespace))


def test_scripts_that_are_lost_on_the_way_are_sent_again(scripts: DirectScripts, client: Any, namespace: str) -> None:
    ahead = scripts.ahead()
    for n in range(100, 160):
        if n % 20 == 7:
            client.script_flush()
        ahead.send([put(namespace, f"{n}")])
    ahead.wait()
    assert ahead.replies() == [[b"ok"]] * 60
    assert heads(scripts, namespace, 159)
    scripts.run(drop(namespace))


def test_an_error_is_raised_with_the_replies_and_then_forgotten(scripts: DirectScripts, namespace: str) -> None:
    ahead, wrong = scripts.ahead(), Call("look", ("only one key",), ())
    for _ in range(3):
        ahead.send([look(namespace), wrong])
    ahead.forget()
    ahead.wait()
    assert ahead.replies() == []
    ahead.send([wrong, look(namespace)])
    ahead.wait()
    with pytest.raises(StoreError):
        ahead.replies()
    assert ahead.replies() == []
    ahead.send([look(namespace)])
    ahead.wait()
    assert ahead.replies() == [[]]


def test_an_interrupted_wait_is_made_up_for(
    scripts: DirectScripts, client: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while replies are read: those calls are sent again, and nobody else reads their replies."""
    ahead, kind = scripts.ahead(), client.connection_pool.connection_class

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    ahead.send([put(namespace, f"{n}") for n in range(100, 105)])
    with monkeypatch.context() as patch:
        patch.setattr(kind, "read_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ahead.wait()
    assert scripts.run(look(namespace, "none")) == []
    ahead.wait()
    assert ahead.replies() == [[b"ok"]] * 5
    scripts.run(drop(namespace))


def test_a_connection_is_not_tested_while_replies_are_missing(redis_url: str, namespace: str) -> None:
    """A node that runs for long: the test's own reply would be taken for that of a call."""
    with connect(redis_url) as client:
        scripts = DirectScripts(client)
        connection = scripts.take()
        scripts.give_back(connection)
        ahead = scripts.ahead()
        for n in range(100, 110):
            ahead.send([put(namespace, f"{n}")])
            connection.next_health_check = 0.0
        ahead.wait()
        assert ahead.replies() == [[b"ok"]] * 10
        assert heads(scripts, namespace, 109)
        scripts.run(drop(namespace))


def test_nobody_answers_ahead() -> None:
    with connect(f"redis://127.0.0.1:{free_port()}/0") as client:
        ahead = DirectScripts(client).ahead()
        for _ in range(2):
            with pytest.raises(ServerUnreachableError):
                ahead.send([look("default")])
        with pytest.raises(ServerUnreachableError):
            ahead.wait()
        ahead.forget()
        ahead.wait()
        assert ahead.replies() == []


def test_nobody_answers() -> None:
    with connect(f"redis://127.0.0.1:{free_port()}/0") as client, pytest.raises(ServerUnreachableError):
        DirectScripts(client).run(look("default"))
