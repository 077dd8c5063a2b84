"""A process is put back to how it was: what one node did to it, the next does not find."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from distgraph.cluster.celery.tidy import Tidy

pytestmark = pytest.mark.unit


def test_an_alarm_strikes_nobody_else() -> None:
    tidy = Tidy()
    signal.setitimer(signal.ITIMER_REAL, 60)
    tidy.after_node()
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_handlers_and_directory_are_put_back(tmp_path: Path) -> None:
    before, here = signal.getsignal(signal.SIGTERM), Path.cwd()
    tidy = Tidy()
    tidy.take_over()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.chdir(tmp_path)
    tidy.hand_over()
    assert signal.getsignal(signal.SIGTERM) is before
    assert Path.cwd() == here


def test_a_directory_that_is_changed_between_two_deliveries_is_put_back_before_the_next(tmp_path: Path) -> None:
    here = Path.cwd()
    tidy = Tidy()
    tidy.take_over()
    tidy.hand_over()
    os.chdir(tmp_path)
    tidy.take_over()
    assert Path.cwd() == here


def test_in_another_os_thread_it_does_nothing() -> None:
    """Signals belong to the main one; a pool of threads shares its process with others."""
    here = Path.cwd()

    def elsewhere() -> None:
        tidy = Tidy()
        tidy.take_over()
        os.chdir("/")
        tidy.hand_over()
        tidy.after_node()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    try:
        assert Path.cwd() == Path("/")
    finally:
        os.chdir(here)
