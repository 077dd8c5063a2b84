"""What a worker needs of the machine and the packages around it, looked at before it starts: an error instead of a crash.

What it prints to is looked after here, too: a node that prints lines never fails because nobody can keep them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from billiard import Semaphore
from celery.app.log import Logging
from celery.utils.log import LoggingProxy
from kombu import compression
from packaging.version import Version

from distgraph.errors import ConfigError

log = logging.getLogger(__name__)

#: The releases this was made for, as pyproject.toml asks for them: from the first on, below the second.
RELEASES: Mapping[str, tuple[str, str]] = {"celery": ("5.7", "6"), "kombu": ("5.7", "6"), "redis": ("6.4", "9")}
#: Files, pipes and connections that a worker has open, and that each process of a prefork pool adds. Measured: 29 + 6 each.
FILES, FILES_A_SLOT = 48, 6


def check_packages(installed: Any = version) -> None:
    """Refuse releases of other packages that the worker was not made for.

    Raises:
        ConfigError: names each of them, and what is needed.
    """
    wrong = []
    for name, (first, end) in RELEASES.items():
        found = installed(name)
        if not Version(first) <= Version(found) < Version(end):
            wrong.append(f"{name} {found} is installed, needed is {name}>={first},<{end}")
    if wrong:
        raise ConfigError(
            f"This worker cannot start: {'; '.join(wrong)}. Install distgraph anew with pip, which brings them."
        )


def check_machine(pool: str, slots: int) -> None:
    """Refuse a machine on which this pool would fail while it starts, or later.

    Raises:
        ConfigError: too few files may be open, or processes cannot share semaphores.
    """
    if pool != "prefork":
        return
    need = FILES + FILES_A_SLOT * slots
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < need:
        raise ConfigError(
            f"A worker of {slots} slots has about {need} files open, and this process may open {most} (ulimit -n). Raise the "
            f"limit, or start it with --concurrency {max(1, (most - FILES) // FILES_A_SLOT)} or with --pool threads."
        )
    if soft != resource.RLIM_INFINITY and soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, most))
    try:
        Semaphore()
    except OSError as exc:
        raise ConfigError(
            f"Processes of a prefork pool share semaphores, and this machine has none to share: {exc}. They need a /dev/shm "
            "that can be written: mount a tmpfs there, or start the worker with --pool threads."
        ) from exc


def warn_of_root() -> None:
    """Say so where nodes would run with all rights."""
    if os.geteuid() == 0:
        log.warning("this worker runs as root, and so do the nodes of its graphs: start it as a user of its own")


def refuse_compressed() -> None:
    """Hints are a few hundred bytes and never compressed: what claims to be is not unfolded, for it may be a bomb."""
    for kind in list(compression.encoders()):
        compression.register(_refuse, _refuse, kind)


def _refuse(data: Any) -> Any:
    raise ValueError("a hint is never compressed")


class Printed(LoggingProxy):  # type: ignore[misc]
    """Lines that nodes print, in the worker's log; for whatever else a stream can do it is the worker's own stream.

    Celery's own has neither bytes (``sys.stdout.buffer``) nor a file number, so that nodes which work elsewhere would fail.
    """

    def __init__(self, stream: Any, logger: Any, loglevel: Any) -> None:
        super().__init__(logger, loglevel)
        self._stream = stream

    def flush(self) -> None:
        """Bring out what was written past the log. A full disk, or a reader that has gone, is not the node's failure."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_stream"], name)


class Streams(Logging):  # type: ignore[misc]
    """Celery's logging, where standard streams stay streams."""

    def redirect_stdouts_to_logger(
        self, logger: Any, loglevel: Any = None, stdout: bool = True, stderr: bool = True
    ) -> Any:
        """Let what is printed appear in the log."""
        if stdout:
            sys.stdout = Printed(sys.__stdout__, logger, loglevel)
        if stderr:
            sys.stderr = Printed(sys.__stderr__, logger, loglevel)
        return sys.stderr
