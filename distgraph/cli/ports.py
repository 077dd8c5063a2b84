"""Loopback ports."""

from __future__ import annotations

import socket

SERVER_PORT, FLOWER_PORT = 6379, 5555


def is_free(port: int) -> bool:
    """Whether something could listen there now."""
    with socket.socket() as probe:
        # As servers do: a port is free although an old connection lingers on it.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def chosen(port: int | None, usual: int) -> int:
    """``port``; where nobody asked for one, the usual one if it is free, or else 0, which stands for any."""
    if port is not None:
        return port
    return usual if is_free(usual) else 0
