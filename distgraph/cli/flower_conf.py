"""What `distgraph flower` sets in Flower, which runs this file and takes every name that is one of its options."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from types import SimpleNamespace

from distgraph.ledger.url import redact

#: longest text of one table cell
LONGEST = 4096

_SECRETS = [
    (re.compile(r"(?i)(authorization\W{1,4}(?:bearer|basic)?\W{0,4})[^\s'\",}]+"), r"\1***"),
    (
        re.compile(r"(?i)((?:password|passwd|secret|token|api[_-]?key)\w{0,40}['\"]?\s?[:=]\s?['\"]?)[^\s'\",}&]+"),
        r"\1***",
    ),
]


def closed(text: str) -> str:
    """``text`` without credentials, and not longer than a table cell should be."""
    # Cut first: patterns never see more than what is shown.
    more = f"... ({len(text)} characters)" if len(text) > LONGEST else ""
    shown = redact(text[:LONGEST])
    for pattern, replacement in _SECRETS:
        shown = pattern.sub(replacement, shown)
    return shown + more


def format_task(task: SimpleNamespace) -> SimpleNamespace:
    """Called by Flower with a copy of each row before it is shown."""
    for field in ("args", "kwargs", "result", "exception", "traceback"):
        value = getattr(task, field, None)
        if isinstance(value, str):
            setattr(task, field, closed(value))
    return task


_password = os.environ["DISTGRAPH_FLOWER_PASSWORD"]

# This variable would open Flower's API to everyone.
os.environ.pop("FLOWER_UNAUTHENTICATED_API", None)

address = "127.0.0.1"
port = int(os.environ["DISTGRAPH_FLOWER_PORT"])
basic_auth = [f"{os.environ['DISTGRAPH_FLOWER_USER']}:{_password}"]
# Derived, so that a session outlives a restart of Flower; worthless without the password.
cookie_secret = hmac.new(_password.encode(), b"distgraph flower cookie", hashlib.sha256).hexdigest()
read_only = True
# Its database is a pickle file; the truth about runs is in Redis anyway.
persistent = False
# About 5 KB of memory a row.
max_tasks = 50_000
# kwargs hold the ids of run and step
tasks_columns = "name,kwargs,state,received,runtime,worker,uuid"
# Rows of workers that are gone disappear after a while (seconds).
purge_offline_workers = 300
