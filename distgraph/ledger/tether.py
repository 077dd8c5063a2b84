"""A child process that cannot outlive its parent, however the parent ends.

The parent keeps the writing end of a pipe. A small shell waits at the other end and kills the child's process group
when the pipe closes, which the kernel sees to even after SIGKILL. The usual alternative, PR_SET_PDEATHSIG, fires when
the OS *thread* that started the child ends, needs code between fork and exec, and exists on Linux alone. A fork of the
parent holds the pipe as well: then the child lives until both are gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from distgraph.errors import ProcessFailedError

# $1: what to remove afterwards, or empty. The first line is the child's pid. The group is waited for before its files
# are removed, a bounded time, because where nobody reaps orphans they stay visible for ever. `kill -s` is the form that
# all shells understand with a group's negative number.
_WATCH = """
read -r pid || exit 0
read -r never
kill -s KILL -- "-$pid" 2>/dev/null
[ -n "$1" ] || exit 0
for turn in 1 2 3 4 5 6 7 8 9 10; do kill -s 0 -- "-$pid" 2>/dev/null || break; sleep 0.1; done
rm -rf -- "$1"
"""
# The child names itself to the watcher before it becomes the program: there is no moment at which it runs unwatched.
_BECOME = 'echo $$ >&0 && exec "$@" </dev/null'

_TAIL_BYTES = 4096


class TetheredProcess:
    """A program in a session, hence process group, of its own; SIGKILLed with its group when this process ends.

    Its pid stays taken until :meth:`reap`, so that no signal can reach a stranger.

    Args:
        command: program and arguments.
        log: file for its output, appended to.
        cwd: directory it runs in; default: this process's.
        env: its whole environment; default: this process's.
        remove: directory to remove when this process ends without having reaped the child.

    Raises:
        ProcessFailedError: the system starts no process.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        remove: Path | None = None,
    ) -> None:
        self.log = log
        self._owner = os.getpid()
        reading, self._pipe = os.pipe()
        try:
            with log.open("ab") as output:
                self._watcher = subprocess.Popen(
                    ["/bin/sh", "-c", _WATCH, "watch", str(remove or "")],
                    stdin=reading,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,
                )
                try:
                    self._child = subprocess.Popen(
                        ["/bin/sh", "-c", _BECOME, "start", *command],
                        stdin=self._pipe,
                        stdout=output,
                        stderr=output,
                        cwd=cwd,
                        env=None if env is None else dict(env),
                        start_new_session=True,
                    )
                except OSError:
                    self._dismiss_watcher()
                    raise
        except OSError as error:
            raise ProcessFailedError(f"Cannot start {command[0]}: {error}.") from None
        finally:
            os.close(reading)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """``None`` while it runs; negative: the signal that ended it."""
        if self._child.returncode is None and hasattr(os, "waitid"):
            # looks without reaping: a reaped pid may be given to another process
            with contextlib.suppress(ChildProcessError):
                state = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if state is None:
                    return None
                return state.si_status if state.si_code == os.CLD_EXITED else -state.si_status
        return self._child.poll()

    @property
    def alive(self) -> bool:
        return self.exit_code is None

    def wait(self, timeout: float) -> bool:
        """Wait until it has ended, at most ``timeout`` seconds; True if it has."""
        give_up = time.monotonic() + timeout
        pause = 0.001
        while self.alive:
            if time.monotonic() >= give_up:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        return True

    def signal(self, number: int) -> None:
        """Send a signal to the program itself."""
        if self._child.returncode is None:
            os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        """Send a signal to the program and all processes it started that stayed in its group."""
        if self._child.returncode is None:
            # EPERM: only zombies are left (macOS)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def reap(self) -> None:
        """SIGKILL what is left of the group and free everything. May be called again; does nothing after a fork."""
        if self._child.returncode is not None or os.getpid() != self._owner:
            return
        self.signal_group(signal.SIGKILL)
        # the watcher first: it kills by pid, and the pid is free once the child is waited for
        self._dismiss_watcher()
        self._child.wait()

    def log_tail(self, lines: int = 20) -> str:
        """The end of its output."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _dismiss_watcher(self) -> None:
        self._watcher.kill()
        self._watcher.wait()
        os.close(self._pipe)
