"""One fault: where it strikes, when, and what it does. Armed in a process of a chaos run, and nowhere else.

    DISTGRAPH_CHAOS=DIRECTORY DISTGRAPH_FAULT=commit:before:kill-child:2 distgraph worker ...

Two variables have to agree, and the directory must be one that a chaos run made: a single stray variable arms nothing.
``DISTGRAPH_FAULT=@`` follows the directory's file `fault`, so that whoever runs the chaos can arm processes that live.

    point    name of a script, or of a call or mark of ``distgraph.ledger.seam``
    moment   before | after | reply-lost (calls only: done by the server, and asked for again)
    what     kill-child   SIGKILL of the process that passes the point: of the pool, or the worker's parent, or a client
             kill-tree    SIGKILL of its whole process group
             stop         SIGSTOP of its whole process group; whoever runs the chaos lets it go on
             kill-server  SIGKILL of the server whose pid stands in the directory's file `server`
    nth      strikes when the point is passed for the nth time, once
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from distgraph.errors import ConfigError
from distgraph.ledger import seam
from distgraph.ledger.scripts import sources

T = TypeVar("T")

CHAOS_VARIABLE = "DISTGRAPH_CHAOS"
FAULT_VARIABLE = "DISTGRAPH_FAULT"
#: The value of the second that stands for the directory's file.
FOLLOW = "@"

KILL_CHILD, KILL_TREE, STOP, KILL_SERVER = "kill-child", "kill-tree", "stop", "kill-server"
WHATS = (KILL_CHILD, KILL_TREE, STOP, KILL_SERVER)
REPLY_LOST = "reply-lost"
#: The size of the file `fault`: overwritten at once, so that nobody reads half of two.
_SIZE = 256


def moments(point: str) -> tuple[str, ...]:
    """The moments of a point.

    Raises:
        ConfigError: there is no such point.
    """
    if point in seam.MARKS:
        return ("before", "after")
    if point in seam.CALLS or point in sources():
        return ("before", "after", REPLY_LOST)
    raise ConfigError(f"There is no point {point!r}. Points: {', '.join(points())}.")


def points() -> list[str]:
    """The names of all points: scripts, calls, marks."""
    return [*sorted(sources()), *seam.CALLS, *seam.MARKS]


class Fault(NamedTuple):
    """One fault. As text ``point:moment:what:nth``."""

    point: str
    moment: str
    what: str
    nth: int = 1

    @classmethod
    def parse(cls, text: str) -> Fault:
        """The fault that ``text`` stands for; the nth may be left out, for 1.

        Raises:
            ConfigError: it stands for none.
        """
        point, moment, what, nth = (*text.split(":"), "", "", "", "")[:4]
        if moment not in moments(point) or what not in WHATS or not (nth or "1").isdigit() or text.count(":") > 3:
            raise ConfigError(
                f"{text!r} is no fault. Write point:moment:what:nth, moment one of {', '.join(moments(point))}, what one of "
                f"{', '.join(WHATS)}."
            )
        return cls(point, moment, what, int(nth or 1))

    def __str__(self) -> str:
        return ":".join(map(str, self))


class Directory:
    """What the processes of one chaos run share: which fault is armed, how often its point was passed, what struck.

    Files: `fault` the armed fault; `server` the pid of the server that may be killed; `hit-N-K` the Kth passing for the Nth
    arming; `struck-N` the process that struck, once it did.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fault = path / "fault"

    @classmethod
    def make(cls, path: Path) -> Directory:
        """Make ``path`` the directory of a chaos run."""
        path.mkdir(parents=True, exist_ok=True)
        made = cls(path)
        made.disarm()
        return made

    @property
    def valid(self) -> bool:
        """Whether a chaos run made it."""
        return self._fault.is_file()

    def arm(self, number: int, role: str, fault: Fault) -> None:
        """Arm ``fault`` in the processes that have ``role``; ``number`` is another one each time."""
        self._write(f"{number} {role} {fault}")

    def disarm(self) -> None:
        """Nothing strikes any more."""
        self._write("")

    def _write(self, text: str) -> None:
        descriptor = os.open(self._fault, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, text.encode().ljust(_SIZE), 0)
        finally:
            os.close(descriptor)

    def armed(self) -> tuple[str, str, Fault] | None:
        """(number, role, fault) that is armed now."""
        words = self._fault.read_text().split()
        return (words[0], words[1], Fault.parse(words[2])) if words else None

    def hit(self, number: str, nth: int) -> bool:
        """Count a passing, over all processes; whether it is the nth."""
        for count in range(1, nth + 1):
            if self._first(f"hit-{number}-{count}"):
                return count == nth
        return False

    def _first(self, name: str) -> bool:
        try:
            os.close(os.open(self.path / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return False
        return True

    def note_strike(self, number: str) -> None:
        """This process strikes now."""
        part = self.path / f"strikes-{number}"
        part.write_text(f"{os.getpid()} {os.getpgrp()}")
        part.rename(self.path / f"struck-{number}")

    def struck(self, number: int) -> tuple[int, int] | None:
        """(pid, process group) of the process that struck; None while none did."""
        try:
            pid, group = (self.path / f"struck-{number}").read_text().split()
        except FileNotFoundError:
            return None
        return int(pid), int(group)

    def server(self, pid: int) -> None:
        """This server may be killed."""
        part = self.path / "server.part"
        part.write_text(str(pid))
        part.rename(self.path / "server")

    def kill_server(self) -> None:
        """Kill the server of this chaos run, unless that was done."""
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            os.kill(int((self.path / "server").read_text()), signal.SIGKILL)


class Striker:
    """Strikes when its process passes the armed point. What ``distgraph.ledger.seam`` calls."""

    def __init__(self, directory: Directory, role: str, fixed: Fault | None = None) -> None:
        self.directory, self.role, self.fixed = directory, role, fixed

    def reach(self, point: str, moment: str) -> None:
        """Strike if this is what is armed."""
        found = self._due((point,), moment)
        if found is not None:
            self._strike(*found)

    def call(self, points: Sequence[str], send: Callable[[], T]) -> T:
        """Make a call, and strike before it, after it, or when its reply was lost."""
        found = self._due(points, "before")
        if found is not None:
            self._strike(*found)
        reply = send()
        found = self._due(points, REPLY_LOST)
        if found is not None:
            if found[1].what in (KILL_CHILD, KILL_TREE):
                send()
            self._strike(*found)
            # As the client does that got no reply: it asks again.
            reply = send()
        found = self._due(points, "after")
        if found is not None:
            self._strike(*found)
        return reply

    def _due(self, points: Sequence[str], moment: str) -> tuple[str, Fault] | None:
        armed = ("fixed", self.role, self.fixed) if self.fixed is not None else self.directory.armed()
        if armed is None:
            return None
        number, role, fault = armed
        if role != self.role or fault.moment != moment or fault.point not in points:
            return None
        return (number, fault) if self.directory.hit(number, fault.nth) else None

    def _strike(self, number: str, fault: Fault) -> None:
        self.directory.note_strike(number)
        if fault.what == KILL_CHILD:
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault.what == KILL_TREE:
            os.killpg(os.getpgrp(), signal.SIGKILL)
        elif fault.what == STOP:
            os.killpg(os.getpgrp(), signal.SIGSTOP)
        else:
            self.directory.kill_server()


def arm_from(environment: Mapping[str, str], role: str) -> str:
    """Arm this process if ``environment`` says so twice.

    Args:
        environment: the process's variables.
        role: "worker" or "client": a fault is armed for one of them.

    Returns:
        What to tell whoever reads the log: '' where neither variable is set.

    Raises:
        ConfigError: both are set, but the fault or the directory is wrong.
    """
    where, what = environment.get(CHAOS_VARIABLE, ""), environment.get(FAULT_VARIABLE, "")
    if not where and not what:
        return ""
    if not where or not what:
        given, missing = (FAULT_VARIABLE, CHAOS_VARIABLE) if what else (CHAOS_VARIABLE, FAULT_VARIABLE)
        return f"{given} is set without {missing}: it is ignored, nothing is armed."
    directory = Directory(Path(where))
    if not directory.valid:
        raise ConfigError(
            f"{CHAOS_VARIABLE}={where!r} is not the directory of a chaos run: distgraph chaos makes them."
        )
    seam.nemesis = Striker(directory, role, None if what == FOLLOW else Fault.parse(what))
    return (
        f"CHAOS: this {role} is armed ({FAULT_VARIABLE}={what}). It kills or stops itself, or its server, on purpose."
    )
