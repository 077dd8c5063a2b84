"""A proxy on loopback between clients and a server, that knows where messages end and does them harm when told.

    with Proxy("127.0.0.1", 6379) as proxy:
        shot = proxy.arm(Fault("drop_reply", script="commit", nth=3))
        ...                     # clients of proxy.url; the third commit is executed, and its answer never comes
        assert shot.fired

It works in an OS thread of its own, in one event loop; connections are its alone, so that nothing is closed under
somebody who reads it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from distgraph.chaos.resp import PUSH, parse
from distgraph.ledger.scripts import digests

Harm = Literal["delay", "cut", "reset", "blackhole", "drop_request", "drop_reply"]
#: What becomes of a request: answered; executed, but the answer never reached its client; certainly not executed; unknown.
Fate = Literal["answered", "unheard", "lost", "unknown"]


class _Over(Exception):
    """This connection is done for."""


_SUBSCRIPTIONS = {b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"MONITOR"}
_READ = 1 << 16


@dataclass(frozen=True, slots=True)
class Fault:
    """Harm to one request.

    Attributes:
        harm: delay: it waits for ``seconds``. cut: the server gets its first ``after`` bytes, then both sides are closed.
            reset: it is lost with its connection. blackhole: nothing passes on its connection for ``seconds``, in
            either direction; then all does. drop_request: it is lost, and the connection says nothing any more: its client
            learns of it by its own time limit. drop_reply: it is executed, and the connection reset before the answer.
        script: name of a script, called by EVALSHA; "": any request.
        command: name of a command; "": any.
        nth: which of the matching requests, counted from arming, beginning with 1.
    """

    harm: Harm
    script: str = ""
    command: str = ""
    nth: int = 1
    seconds: float = 0.0
    after: int = 0

    def matches(self, request: Request) -> bool:
        """Whether it is meant for such a request."""
        wanted = self.command.upper().encode()
        return (not self.script or self.script == request.script) and (not wanted or wanted == request.command)


@dataclass(slots=True)
class Shot:
    """An armed fault: how many matching requests came by, and when it struck (monotonic seconds; None: not yet)."""

    fault: Fault
    seen: int = 0
    at: float | None = None

    @property
    def fired(self) -> bool:
        return self.at is not None


@dataclass(slots=True)
class Request:
    """One request on its way: its words, when it came (monotonic seconds), and what becomes of it."""

    words: list[bytes]
    t: float
    fault: Fault | None = None

    @property
    def command(self) -> bytes:
        """Its first word, in capitals."""
        return self.words[0].upper() if self.words else b""

    @property
    def script(self) -> str:
        """The script it calls, by name; "" if it calls none of ours."""
        return _names().get(self.words[1], "") if self.command == b"EVALSHA" and len(self.words) > 1 else ""


Observer = Callable[[Request, Fate, Any, float], None]


def _nobody(request: Request, fate: Fate, reply: Any, t: float) -> None:
    """Where requests are told of when nobody listens."""


class Proxy:
    """The proxy, from ``__enter__`` (or `start`) to ``__exit__`` (or `close`). Its methods may be called from any OS thread.

    Args:
        host: the server's host.
        port: the server's port.
        observer: told of each request when its fate is known: (request, fate, reply, monotonic seconds); in the proxy's
            thread, so it should be quick.
        password: the server's, if it asks for one; part of `url`.
    """

    def __init__(self, host: str, port: int, observer: Observer = _nobody, *, password: str | None = None) -> None:
        self.host, self.upstream, self.observer = host, port, observer
        self._credentials = f":{password}@" if password else ""
        self.port = 0
        self.shots: list[Shot] = []
        self.links: set[Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="distgraph-proxy", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self.open: asyncio.Event

    @property
    def url(self) -> str:
        """Where clients are to go."""
        return f"redis://{self._credentials}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Listen on a free port.

        Raises:
            OSError: there is none.
        """
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Close all connections and stop."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # ------------------------------------------------------------- harm

    def arm(self, fault: Fault) -> Shot:
        """Let ``fault`` strike when its request comes by."""
        shot = Shot(fault)
        self._loop.call_soon_threadsafe(self.shots.append, shot)
        return shot

    def disarm(self) -> None:
        """Forget faults that have not struck."""
        self._loop.call_soon_threadsafe(self.shots.clear)

    def reset_all(self) -> None:
        """Reset all connections that stand now."""
        self._loop.call_soon_threadsafe(self._reset_links)

    def _reset_links(self) -> None:
        for link in list(self.links):
            link.reset()

    def blackhole(self) -> None:
        """From now on nothing passes in either direction; new connections are accepted and hear nothing either."""
        self._loop.call_soon_threadsafe(self.open.clear)

    def heal(self) -> None:
        """Everything passes again, what was held back first."""
        self._loop.call_soon_threadsafe(self.open.set)

    def choose(self, request: Request) -> Fault | None:
        """The fault that strikes this request, if one does."""
        for shot in self.shots:
            if shot.fault.matches(request):
                shot.seen += 1
                if shot.seen >= shot.fault.nth:
                    shot.at = time.monotonic()
                    self.shots.remove(shot)
                    return shot.fault
        return None

    # ------------------------------------------------------------- its thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            server = self._loop.run_until_complete(self._listen())
        except BaseException as error:
            self._failure = error
            self._ready.set()
            return
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._reset_links()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        self.open = asyncio.Event()
        self.open.set()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self, reader, writer)
        self.links.add(link)
        try:
            await link.run()
        except asyncio.CancelledError:
            # The proxy closes. Whoever holds this task would report an error.
            link.reset()
        finally:
            self.links.discard(link)


@dataclass(eq=False, slots=True)
class Link:
    """One connection of a client, and the one to the server that belongs to it."""

    proxy: Proxy
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    waiting: deque[Request] = field(default_factory=deque)
    #: Subscribed: messages come without being asked for, so nothing is matched any more.
    plain: bool = False
    #: A black hole until then. Monotonic seconds.
    silent_until: float = 0.0

    async def run(self) -> None:
        """Pass on what comes, until either side ends."""
        await self.proxy.open.wait()
        try:
            answers, self.server = await asyncio.open_connection(self.proxy.host, self.proxy.upstream)
        except OSError:
            self.reset()
            return
        pumps = [asyncio.ensure_future(self._requests()), asyncio.ensure_future(self._replies(answers))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for request in self.waiting:
                self._tell(request, "unknown")
            self.waiting.clear()
            for writer in (self.writer, self.server):
                writer.close()

    def reset(self) -> None:
        """End both connections at once; the client hears of it as RST."""
        for writer in (self.writer, self.server):
            if writer is not None and not writer.is_closing():
                raw: Any = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    def _tell(self, request: Request, fate: Fate, reply: Any = None) -> None:
        self.proxy.observer(request, fate, reply, time.monotonic())

    async def _send(self, writer: asyncio.StreamWriter, data: bytes | bytearray) -> None:
        await self.proxy.open.wait()
        while (left := self.silent_until - time.monotonic()) > 0:
            await asyncio.sleep(left)
        writer.write(data)
        await writer.drain()

    # ------------------------------------------------------------- to the server

    async def _requests(self) -> None:
        buffer = bytearray()
        while data := await self.reader.read(_READ):
            buffer += data
            used = await self._pass_requests(buffer)
            del buffer[:used]

    async def _pass_requests(self, buffer: bytearray) -> int:
        assert self.server is not None
        sent = at = 0
        while (found := parse(buffer, at)) is not None:
            words, end = found
            request = Request(words if isinstance(words, list) else [words], time.monotonic())
            request.fault = self.proxy.choose(request)
            if request.fault is not None:
                await self._send(self.server, buffer[sent:at])
                sent = at
                await self._harm(request, request.fault, buffer[at:end])
            self.waiting.append(request)
            self.plain = self.plain or request.command in _SUBSCRIPTIONS
            at = end
        await self._send(self.server, buffer[sent:at])
        return at

    async def _harm(self, request: Request, fault: Fault, data: bytearray) -> None:
        """What happens to a request before it is sent on; does not return where it is not."""
        assert self.server is not None
        if fault.harm == "delay":
            await asyncio.sleep(fault.seconds)
        elif fault.harm == "cut":
            # One byte at least is missing: what is whole is executed.
            self.server.write(data[: min(fault.after, len(data) - 1)])
            self._tell(request, "lost")
            self.writer.close()
            raise _Over
        elif fault.harm == "reset":
            self._tell(request, "lost")
            self.reset()
            raise _Over
        elif fault.harm == "drop_request":
            self._tell(request, "lost")
            await self._silence()
        elif fault.harm == "blackhole":
            self.silent_until = time.monotonic() + fault.seconds

    async def _silence(self) -> None:
        """Nothing more is passed on; the client gives up by itself."""
        while await self.reader.read(_READ):
            pass
        raise _Over

    # ------------------------------------------------------------- to the client

    async def _replies(self, answers: asyncio.StreamReader) -> None:
        buffer = bytearray()
        while data := await answers.read(_READ):
            buffer += data
            if self.plain:
                await self._send(self.writer, buffer)
                buffer.clear()
                continue
            used = await self._pass_replies(buffer)
            del buffer[:used]

    async def _pass_replies(self, buffer: bytearray) -> int:
        sent = at = 0
        told = []
        while (found := parse(buffer, at)) is not None:
            reply, end = found
            # What the server says by itself answers nothing.
            asked = self.waiting and buffer[at : at + 1] != PUSH
            request = self.waiting.popleft() if asked else None
            if request is not None and request.fault is not None and request.fault.harm == "drop_reply":
                await self._send(self.writer, buffer[sent:at])
                self._tell(request, "unheard", reply)
                self.reset()
                raise _Over
            if request is not None:
                told.append((request, reply))
            at = end
        # Told before they are passed on: an effect of having heard the answer must not come before it in a history.
        for request, reply in told:
            self._tell(request, "answered", reply)
        await self._send(self.writer, buffer[sent:at])
        return at


_by_digest: dict[bytes, str] = {}


def _names() -> dict[bytes, str]:
    if not _by_digest:
        _by_digest.update({digest.encode(): name for name, digest in digests().items()})
    return _by_digest
