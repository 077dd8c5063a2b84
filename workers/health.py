"""Is the process of this container well? Exit code 0 if so, 1 and one line of why if not.

    python -m workers.health            this host's worker beats in the ledger
    python -m workers.health flower     this host's Flower answers

A worker is asked for its beat, not for an answer: a beat comes from the worker's parent process and does not wait for
nodes, so a busy worker is a healthy one.
"""

from __future__ import annotations

import socket
import sys
import urllib.request

from distgraph.errors import DistgraphError
from workers.settings import Settings

#: Seconds to wait for Flower; the health check of the image gives up after five.
PATIENCE = 3.0


class UnhealthyError(Exception):
    """What is wrong, in a sentence."""


def check_worker(settings: Settings) -> None:
    """The server answers, and a worker of this host beats.

    Raises:
        UnhealthyError: no worker of this host beats.
        DistgraphError: the server does not answer, or refuses.
    """
    from distgraph.cluster import Cluster  # only here: Flower's check should not load it

    host = socket.gethostname()
    cluster = Cluster.connect(settings.url, namespace=settings.namespace, broker_url=settings.broker_url)
    if not any(worker.host == host for worker in cluster.workers()):
        raise UnhealthyError(f"no worker of {host} beats in namespace {settings.namespace!r}")


def check_flower(settings: Settings) -> None:
    """Flower answers at its own health page, which needs no password.

    Raises:
        UnhealthyError: it does not answer, or not with 200.
    """
    # Listening everywhere includes loopback; other addresses are asked as they are.
    address = "127.0.0.1" if settings.flower_address in ("0.0.0.0", "") else settings.flower_address
    url = f"http://{address}:{settings.flower_port}/healthcheck"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE):
            return
    except OSError as error:
        raise UnhealthyError(f"Flower does not answer at {url}: {error}") from error


def main(arguments: list[str]) -> int:
    """Run the check that the command line names. Returns the exit code."""
    checks = {(): check_worker, ("flower",): check_flower}
    check = checks.get(tuple(arguments))
    if check is None:
        sys.stderr.write("usage: python -m workers.health [flower]\n")
        return 2
    try:
        check(Settings.load())
    except (DistgraphError, UnhealthyError) as error:
        sys.stderr.write(f"unhealthy: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
