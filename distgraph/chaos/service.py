"""A service outside: applies effects over HTTP on loopback, and counts.

``POST /keyed`` deduplicates by the header Idempotency-Key, as payment services do: a second call with a key answers what
the first one did, and applies nothing. ``POST /once`` applies every call: whoever calls it must see to it that he does not
call twice. The body names who calls; the answer is a receipt.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class Service:
    """The service, from ``__enter__`` to ``__exit__``.

    Attributes:
        calls: calls by Idempotency-Key.
        applied: effects applied, by who called.
        keys: keys by who called.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.applied: dict[str, Counter[str]] = {"keyed": Counter(), "once": Counter()}
        self.keys: dict[str, set[str]] = defaultdict(set)
        self._receipts: dict[str, str] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="distgraph-service", daemon=True
        )

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def post(self, kind: str, key: str, who: str) -> str:
        """One call; its receipt.

        Raises:
            KeyError: no such kind of effect.
        """
        with self._lock:
            applied = self.applied[kind]
            if kind == "once":
                applied[who] += 1
                return f"{who}/{applied[who]}"
            self.calls[key] += 1
            self.keys[who].add(key)
            if key not in self._receipts:
                applied[who] += 1
                self._receipts[key] = f"{who}/{applied[who]}"
            return self._receipts[key]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed in the middle is what this service is for."""


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            who = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            try:
                answer = service.post(self.path.strip("/"), self.headers.get("Idempotency-Key", ""), who)
            except KeyError:
                self.send_error(404)
                return
            body = answer.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Thousands of calls a minute are counted, not printed."""

    return Handler
