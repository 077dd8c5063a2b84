"""Beats for a worker whose own interpreter runs user code. Started by the worker; ends when the worker does.

    python -m distgraph.cluster.companion FD      the table's file descriptor; the rest as one JSON line on standard input

The worker holds the other end of standard input. When it closes, by whatever death, the companion says goodbye for the
worker at once, so that its work is taken over without waiting for the last beat to be forgotten.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from typing import Any

from distgraph.cluster.liveness import BEAT_SECONDS, TTL_MS, SlotTable, beat_record, state_of
from distgraph.errors import StoreError
from distgraph.ledger.ledger import Ledger


def start(table: SlotTable, url: str, namespace: str, boot: str, about: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start a companion for this process."""
    line = json.dumps({"url": url, "namespace": namespace, "boot": boot, "about": about, "rows": table.rows})
    process = subprocess.Popen(
        [sys.executable, "-m", "distgraph.cluster.companion", str(table.fd)],
        stdin=subprocess.PIPE,
        pass_fds=[table.fd],
        # Ctrl-C is for the worker, which still needs beats while it drains.
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write(line.encode() + b"\n")
    process.stdin.flush()
    return process


def main() -> None:
    """Beat until standard input closes."""
    told = json.loads(sys.stdin.buffer.readline())
    table = SlotTable(told["rows"], int(sys.argv[1]))
    ledger = Ledger(told["url"], told["namespace"], client_name="distgraph-beat")
    parent = os.getppid()
    while True:
        # A stopped worker (SIGSTOP) must not look alive because its companion is.
        if state_of(parent) != "T":
            with contextlib.suppress(StoreError):
                ledger.fleet.beat(told["boot"], beat_record(table, told["boot"], told["about"], []), ttl_ms=TTL_MS)
        if select.select([sys.stdin], [], [], BEAT_SECONDS)[0]:
            break
    with contextlib.suppress(StoreError):
        ledger.fleet.leave(told["boot"])


if __name__ == "__main__":
    main()
    os._exit(0)  # the worker waits for it, and there is nothing to clear up
