"""The command line, ``distgraph ...``: one file a command group.

Commands parse, call the public API and render; what they call is imported when they run, so that ``--help`` is quick.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """The entry point of ``distgraph`` and ``python -m distgraph``."""
    from distgraph.cli.app import app
    from distgraph.cli.exits import INTERRUPTED

    # A terminal that cannot show a character shows another one; output never fails for it.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app.main(prog_name="distgraph")
    except SystemExit as end:
        if end.code == INTERRUPTED:
            # An impatient user presses Ctrl-C again: everything is said, and the exit code is to stay.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
