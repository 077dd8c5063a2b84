"""What a container's health check says about Flower, with a real HTTP server in its place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.servers import free_port
from workers.health import main

pytestmark = pytest.mark.unit


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthcheck" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def flower() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_flower_that_answers_is_well(flower: HTTPServer, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTGRAPH_FLOWER_ADDRESS", address)
    monkeypatch.setenv("DISTGRAPH_FLOWER_PORT", str(flower.server_port))
    assert main(["flower"]) == 0


def test_flower_that_is_not_there_is_not_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what was asked and what came back."""
    monkeypatch.setenv("DISTGRAPH_FLOWER_PORT", str(free_port()))
    assert main(["flower"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("unhealthy: Flower does not answer at http://127.0.0.1:")
    assert len(shown.splitlines()) == 1


def test_wrong_settings_are_not_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DISTGRAPH_FLOWER_PORT", "many")
    assert main(["flower"]) == 1
    assert "DISTGRAPH_FLOWER_PORT=many" in capsys.readouterr().err


def test_an_unknown_check_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flour"]) == 2
    assert "usage:" in capsys.readouterr().err
