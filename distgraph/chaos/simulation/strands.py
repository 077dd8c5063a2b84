"""Work that can stand still in its middle while others go on: an OS thread each, of which never two run at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable


class _Carrier:
    """An OS thread that carries one strand after the other."""

    def __init__(self) -> None:
        self.go, self.back = threading.Lock(), threading.Lock()
        self.go.acquire()
        self.back.acquire()
        self.strand: Strand | None = None
        threading.Thread(target=self._carry, name="distgraph-strand", daemon=True).start()

    def _carry(self) -> None:
        while True:
            self.go.acquire()
            strand = self.strand
            assert strand is not None
            try:
                strand.work()
            except BaseException as exc:
                strand.error = exc
            strand.ended = True
            self.back.release()


#: Carriers without a strand. Starting an OS thread costs more than most strands.
_idle: list[_Carrier] = []


class Strand:
    """One piece of work.

    Args:
        work: called in an OS thread of its own, which goes on only while somebody is in ``go_on``.

    Attributes:
        ended: the work has returned or raised.
    """

    __slots__ = ("_carrier", "ended", "error", "work")

    def __init__(self, work: Callable[[], None]) -> None:
        self.work, self.ended = work, False
        self.error: BaseException | None = None
        self._carrier: _Carrier | None = None

    def go_on(self) -> None:
        """Let it begin or go on, until it stands still or ends.

        Raises:
            BaseException: what the work raised.
        """
        if self._carrier is None:
            self._carrier = _idle.pop() if _idle else _Carrier()
            self._carrier.strand = self
        carrier = self._carrier
        carrier.go.release()
        carrier.back.acquire()
        if self.ended:
            carrier.strand = None
            _idle.append(carrier)
            if self.error is not None:
                raise self.error

    def stand_still(self) -> None:
        """Called by the work itself: stop here until somebody lets it go on."""
        carrier = self._carrier
        assert carrier is not None
        carrier.back.release()
        carrier.go.acquire()
