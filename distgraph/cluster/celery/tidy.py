"""What a node may leave behind in its process, and the next one must not find: signal handlers, a timer, a directory."""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import Any

log = logging.getLogger(__name__)

#: Handlers that the process needs, to be stopped by and to notice its children.
KEPT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGCHLD)


class Tidy:
    """Puts a process back to how it was before its first delivery. In other than the main OS thread it does nothing."""

    def __init__(self) -> None:
        self._main = threading.current_thread() is threading.main_thread()
        self._directory = ""
        self._handlers: dict[signal.Signals, Any] = {}

    def after_node(self) -> None:
        """Stop a timer that a node has set: it would strike the next one."""
        if self._main and signal.getitimer(signal.ITIMER_REAL)[0]:
            signal.setitimer(signal.ITIMER_REAL, 0)
            log.warning("a node left an alarm set; taken back")

    def take_over(self) -> None:
        """Before a delivery: an OS thread that a node left behind may have changed the directory meanwhile.

        The first call only looks: whoever made the process has set it up by then. Handlers are set in the main OS thread
        alone, in which nothing of the nodes' runs between two deliveries.
        """
        if not self._main:
            return
        if self._directory:
            self._go_back()
            return
        self._directory = os.getcwd()  # noqa: PTH109 - compared as it is
        self._handlers = {one: signal.getsignal(one) for one in KEPT}

    def hand_over(self) -> None:
        """After a delivery: undo what its nodes did; to look after every node would cost more than a small node does."""
        if not self._main:
            return
        for number, handler in self._handlers.items():
            if signal.getsignal(number) is not handler:
                log.warning("a node replaced the handler of %s; put back", number.name)
                signal.signal(number, handler)
        self._go_back()

    def _go_back(self) -> None:
        if os.getcwd() != self._directory:  # noqa: PTH109
            log.warning("a node changed the working directory; put back")
            os.chdir(self._directory)
