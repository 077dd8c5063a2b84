"""What `distgraph flower` sets in Flower, which runs this file and takes every name that is one of its options."""

from __future__ import annotations

import hashlib
import hmac
import os
from types import SimpleNamespace

from distgraph.cli import flower_metrics
from distgraph.cluster.failures import redact


def format_task(task: SimpleNamespace) -> SimpleNamespace:
    """Called by Flower with a copy of each row before it is shown."""
    for field in ("args", "kwargs", "result", "exception", "traceback"):
        value = getattr(task, field, None)
        if isinstance(value, str):
            setattr(task, field, redact(value))
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

flower_metrics.register(os.environ["DISTGRAPH_URL"], os.environ["DISTGRAPH_NAMESPACE"])
