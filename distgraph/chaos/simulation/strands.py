"""Work that can stand still in its middle while others go on, on OS threads of which never two run at a time.

The thread that takes the turns does the work of a turn itself. Only where that stands still does another thread take the
turns, until it comes to one that lets the work go on. So work that never stands still costs no switch of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class _Carrier:
    """An OS thread that takes turns in one play after the other."""

    __slots__ = ("go", "play")

    def __init__(self) -> None:
        self.go = threading.Lock()
        self.go.acquire()
        self.play: Play | None = None
        threading.Thread(target=self._carry, name="distgraph-strand", daemon=True).start()

    def _carry(self) -> None:
        while True:
            self.go.acquire()
            assert self.play is not None
            self.play._take_turns(self)


#: Carriers with nothing to do. Starting an OS thread costs more than most strands.
_idle: list[_Carrier] = []


class Strand:
    """One piece of work of a play.

    Args:
        play: where it takes its turn.
        work: is called when it is first let go on.
    """

    __slots__ = ("carrier", "play", "work")

    def __init__(self, play: Play, work: Callable[[], None]) -> None:
        self.play = play
        #: None once it has begun: what has ended shall not hold itself.
        self.work: Callable[[], None] | None = work
        #: Whose stack it is on, once it has begun.
        self.carrier: _Carrier | None = None

    def go_on(self) -> None:
        """Let it begin or go on, as soon as the turn that says so has returned."""
        self.play._next = self

    def begin(self, carrier: _Carrier) -> None:
        """Work, on the stack of ``carrier``."""
        work, self.work, self.carrier = self.work, None, carrier
        assert work is not None
        work()

    def stand_still(self) -> None:
        """Called by the work itself: stop here until a turn lets it go on."""
        carrier = self.carrier
        assert carrier is not None
        self.play._hand_to_idle()
        carrier.go.acquire()


class Play:
    """Turns that are taken one after the other, each of which may let one strand go on.

    Args:
        turn: takes the next turn; False: there is none left. By then no strand stands still.
        fail: told of whatever a turn or a strand raises. Turns go on: those who still stand are to come to their end.
    """

    def __init__(self, turn: Callable[[], bool], fail: Callable[[BaseException], None]) -> None:
        self._turn, self._fail = turn, fail
        self._next: Strand | None = None
        self._over = threading.Lock()

    def run(self) -> None:
        """Take all turns."""
        self._over.acquire()
        self._hand_to_idle()
        # By another thread: one that is interrupted must not be in the middle of a strand.
        self._over.acquire()

    def _hand_to_idle(self) -> None:
        carrier = _idle.pop() if _idle else _Carrier()
        carrier.play = self
        carrier.go.release()

    def _take_turns(self, carrier: _Carrier) -> None:
        """Take turns on this thread, until one lets a strand go on that another thread holds."""
        going = True
        while going:
            try:
                going = self._turn()
                strand = self._next
                if strand is not None:
                    self._next = None
                    if strand.carrier is not None:
                        # Nothing of this thread's may happen after it has let the other one go on.
                        _rest(carrier)
                        strand.carrier.go.release()
                        return
                    strand.begin(carrier)
            except BaseException as exc:
                self._fail(exc)
                going = True
        _rest(carrier)
        self._over.release()


def _rest(carrier: _Carrier) -> None:
    """It has nothing to do any more, and holds nothing."""
    carrier.play = None
    _idle.append(carrier)
