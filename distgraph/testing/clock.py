"""A clock that only moves when it is told to."""

from __future__ import annotations

#: Where a clock starts unless it is told otherwise: a day in 2027, in milliseconds since the epoch.
START_MS = 1_800_000_000_000


class Clock:
    """One time for ledger, workers and clients.

    Args:
        start_ms: milliseconds since the epoch.
    """

    def __init__(self, start_ms: int = START_MS) -> None:
        self._micros = start_ms * 1000
        self._ms = start_ms

    def ms(self) -> int:
        """Milliseconds since the epoch."""
        return self._ms

    def seconds(self) -> float:
        """Seconds since the epoch."""
        return self._micros / 1_000_000

    def advance(self, ms: float) -> None:
        """Let time pass.

        Raises:
            ValueError: ``ms`` is negative.
        """
        if ms < 0:
            raise ValueError(f"A clock does not go back: {ms} ms.")
        self._micros += round(ms * 1000)
        self._ms = self._micros // 1000
