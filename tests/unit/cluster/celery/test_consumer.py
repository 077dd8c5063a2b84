"""How soon a worker is back; that it outlives what a server may answer is tested with a real one in tests/chaos."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from celery.worker.consumer.connection import Connection as Step
from kombu import Connection

from distgraph.cluster.celery.config import settings
from distgraph.cluster.celery.consumer import MOST, PatientConsumer
from tests.servers import free_port

pytestmark = pytest.mark.unit


class Told(Exception):
    """It was said how long the next try is waited for."""


def test_the_next_tries_to_connect_come_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Celery("distgraph", set_as_current=False)
    app.conf.update(settings(f"redis://127.0.0.1:{free_port()}/0", "ns"))
    assert app.conf.worker_consumer == f"{PatientConsumer.__module__}:{PatientConsumer.__name__}"
    waits: list[Any] = []

    def retrying(
        fun: Any, catch: Any, args: Any, kwargs: Any, errback: Any, most: Any, *intervals: Any, **_: Any
    ) -> None:
        waits.extend(intervals)
        raise Told

    monkeypatch.setattr("kombu.connection.retry_over_time", retrying)
    consumer = PatientConsumer.__new__(PatientConsumer)
    consumer.app, consumer.first_connection_attempt, consumer.broker_connection_retry_attempt = app, True, 0
    with Connection(app.conf.broker_url) as connection, pytest.raises(Told):
        consumer.ensure_connected(connection)
    assert waits[:3] == [0.2, 0.2, MOST]


@pytest.mark.parametrize(
    ("url", "host"), [("unix://:hush@/run/r.sock?db=0", "/run/r.sock?virtual_host=0"), ("redis://:hush@h:1/0", "h")]
)
def test_what_a_worker_tells_of_its_server_has_no_password(
    url: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flower shows it. Of a socket Kombu takes the whole address for the host's name."""
    monkeypatch.setattr("kombu.connection.retry_over_time", lambda *_, **__: None)
    app = Celery("distgraph", set_as_current=False)
    app.conf.update(settings(url, "ns"))
    consumer = PatientConsumer.__new__(PatientConsumer)
    consumer.app, consumer.first_connection_attempt, consumer.broker_connection_retry_attempt = app, True, 0
    with app.connection_for_read() as consumer.connection:
        consumer.ensure_connected(consumer.connection)
        told = Step.info(None, consumer)
    assert told["broker"]["hostname"].endswith(host)
    assert "hush" not in str(told)


def test_what_flower_is_told_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heartbeat in the moment the server goes: it is kept, and whoever reconnects says it."""
    slept: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", slept.append)
    app = Celery("distgraph", set_as_current=False, events="distgraph.cluster.celery.consumer:Events")
    app.conf.update(settings(f"redis://127.0.0.1:{free_port()}/0", "ns"))
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(connection, hostname="w")
        dispatcher.send("worker-heartbeat", retry=True, freq=2.0)
        [(event, _)] = dispatcher._outbound_buffer
    assert event["type"] == "worker-heartbeat"
    assert slept == []
