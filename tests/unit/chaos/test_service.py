"""The service outside counts truly."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from distgraph.chaos.service import Service


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


def post(service: Service, path: str, key: str, who: str) -> tuple[int, str]:
    connection = HTTPConnection(service.address, timeout=5)
    try:
        connection.request("POST", path, who.encode(), {"Idempotency-Key": key})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_a_key_is_applied_once_and_answered_the_same(service: Service) -> None:
    assert [post(service, "/keyed", "k", "b:1") for _ in range(3)] == [(200, "b:1/1")] * 3
    assert service.calls == {"k": 3}
    assert service.applied["keyed"] == {"b:1": 1}


def test_another_key_is_another_effect(service: Service) -> None:
    post(service, "/keyed", "k", "b:1")
    assert post(service, "/keyed", "l", "b:1") == (200, "b:1/2")
    assert service.keys == {"b:1": {"k", "l"}}


def test_without_deduplication_every_call_counts(service: Service) -> None:
    assert [post(service, "/once", "", "b:1")[1] for _ in range(2)] == ["b:1/1", "b:1/2"]
    assert service.applied["once"] == {"b:1": 2}


def test_what_it_does_not_offer_is_not_found(service: Service) -> None:
    assert post(service, "/other", "", "b:1")[0] == 404
