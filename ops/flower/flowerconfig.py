"""Flower for distgraph, closed by default: one user, read-only, loopback, nothing stored, no secrets in its tables.

    celery -A workers.app flower --conf=ops/flower/flowerconfig.py

Flower runs this file and takes every name that is one of its options. The settings are DISTGRAPH_URL and
DISTGRAPH_FLOWER_* (workers/settings.py). Basic authentication goes over plain HTTP, and /metrics and /healthcheck
are open by Flower's design: to look from another machine, put a proxy with TLS in front.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import sys
from pathlib import Path
from types import SimpleNamespace

from distgraph.errors import ConfigError
from workers.settings import Settings

#: where a password that was made here is kept: in the working directory, readable by its owner only
PASSWORD_FILE = Path(".distgraph") / "flower-password"

#: longest text of one table cell
LONGEST = 4096

# Every repetition is bounded: the text may be long, and comes from anywhere.
_SECRETS = [
    (re.compile(r"(//)[^\s/@]{1,500}@"), r"\1***@"),
    (re.compile(r"(?i)\b(authorization\W{1,5}(?:(?:bearer|basic)\W{1,5})?)[^\s'\",}]+"), r"\1***"),
    (
        re.compile(
            r"(?i)((?:password|passwd|secret|token|api[_-]?key)\w{0,20}['\"]?\s{0,5}[:=]\s{0,5}['\"]?)"
            r"[^\s'\",}&]+"
        ),
        r"\1***",
    ),
]


def redact(text: str) -> str:
    """`text` without credentials, and not longer than a table cell should be."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"


def format_task(task: SimpleNamespace) -> SimpleNamespace:
    """Called by Flower with a copy of each row before it is shown."""
    for field in ("args", "kwargs", "result", "exception", "traceback"):
        value = getattr(task, field, None)
        if isinstance(value, str):
            setattr(task, field, redact(value))
    return task


def stored_password() -> str:
    """The password made for this machine; makes, stores and shows it the first time."""
    if PASSWORD_FILE.exists():
        return PASSWORD_FILE.read_text().strip()
    PASSWORD_FILE.parent.mkdir(mode=0o700, exist_ok=True)
    made = secrets.token_urlsafe(18)
    with os.fdopen(os.open(PASSWORD_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(made + "\n")
    sys.stderr.write(f"Flower: user {_settings.flower_user!r}, password {made!r} (kept in {PASSWORD_FILE}).\n")
    return made


def chosen_password() -> str:
    """The password from the settings, else the stored one.

    Raises:
        ConfigError: Flower is to listen to other machines with a password that nobody chose.
    """
    if _settings.flower_password is not None:
        return _settings.flower_password.get_secret_value()
    if _settings.flower_address not in ("127.0.0.1", "::1", "localhost"):
        raise ConfigError(
            f"DISTGRAPH_FLOWER_ADDRESS={_settings.flower_address} lets other machines reach Flower: "
            "choose a password and set DISTGRAPH_FLOWER_PASSWORD, or listen on 127.0.0.1."
        )
    return stored_password()


_settings = Settings.load()
_password = chosen_password()

# This variable would open Flower's API to everyone.
os.environ.pop("FLOWER_UNAUTHENTICATED_API", None)

address = _settings.flower_address
port = _settings.flower_port
basic_auth = [f"{_settings.flower_user}:{_password}"]
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
