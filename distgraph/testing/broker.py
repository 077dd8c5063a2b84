"""A broker in a list: hints wait here until somebody takes them, or come to harm."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from distgraph.cluster.hints import MOST_EXPECTED, Hint, NodeHint, meant
from distgraph.testing.clock import Clock


@dataclass(frozen=True, slots=True)
class Faults:
    """What may happen to a hint on its way, and to time.

    Attributes:
        lose: probability that a hint never arrives.
        repeat: probability that it arrives once more.
        delay: probability that it arrives ``delay_ms`` late.
        delay_ms: milliseconds.
        shuffle: hints arrive in any order, not in that of their publication.
        node_ms: a node takes up to so many milliseconds on the cluster's clock.
    """

    lose: float = 0.0
    repeat: float = 0.0
    delay: float = 0.0
    delay_ms: int = 3000
    shuffle: bool = False
    node_ms: float = 0.0


class Broker:
    """The in-process kind of ``Dispatcher``.

    Attributes:
        lost: how many hints were lost.
        repeated: how many came twice.
        away: it takes nothing, as a broker on a server of its own that is down.
    """

    def __init__(self, clock: Clock, random: Random, faults: Faults | None = None) -> None:
        self.clock, self.random, self.faults = clock, random, faults or Faults()
        self.lost = self.repeated = 0
        self.away = False
        self._hints: list[tuple[int, Hint]] = []

    def publish(self, hints: Sequence[Hint], *, first: bool = False) -> None:
        """Send hints; ``first``: before all that wait."""
        for hint in hints:
            if self.away or self._happens(self.faults.lose):
                self.lost += 1
                continue
            twice = self._happens(self.faults.repeat)
            self.repeated += twice
            sent = [self._on_its_way(hint) for _ in range(1 + twice)]
            self._hints = [*sent, *self._hints] if first else [*self._hints, *sent]

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self.random.random() < probability

    def _on_its_way(self, hint: Hint) -> tuple[int, Hint]:
        if isinstance(hint, NodeHint):
            # A message carries plain JSON: what the receiver gets is never the sender's own object, nor holds one.
            hint = hint._replace(tasks=json.loads(json.dumps(hint.tasks)))
        late = self.faults.delay_ms if self._happens(self.faults.delay) else 0
        return self.clock.ms() + late, hint

    def reachable(self) -> bool:
        """Whether hints arrive now: as long as nobody set ``away``."""
        return not self.away

    def waiting(self, queue: str | None = None) -> int:
        """How many hints wait in the namespace's own queue, or in a node's."""
        return sum((hint.queue if isinstance(hint, NodeHint) else None) == queue for _, hint in self._hints)

    def expected(self, queue: str | None = None) -> frozenset[str] | None:
        """What the hints that wait are for; None where they are too many to look at."""
        if self.waiting(queue) > MOST_EXPECTED:
            return None
        mine = [hint for _, hint in self._hints if (hint.queue if isinstance(hint, NodeHint) else None) == queue]
        return frozenset(name for hint in mine for name in meant(hint))

    def take(self) -> Hint | None:
        """The next hint; None if none has arrived."""
        if self.away:
            return None
        arrived = [at for at, (ready, _) in enumerate(self._hints) if ready <= self.clock.ms()]
        if not arrived:
            return None
        at = self.random.choice(arrived) if self.faults.shuffle else arrived[0]
        return self._hints.pop(at)[1]

    def hints(self) -> list[Hint]:
        """All hints on their way, in order of their publication."""
        return [hint for _, hint in self._hints]

    def drop(self) -> int:
        """Lose all hints on their way, as a broker does that starts anew without its data; how many."""
        dropped, self._hints = len(self._hints), []
        self.lost += dropped
        return dropped

    def next_ms(self) -> int | None:
        """When the next hint arrives, milliseconds since the epoch; None if none is on its way."""
        return min([ready for ready, _ in self._hints]) if self._hints else None

    def arrived(self, now_ms: int) -> bool:
        """Whether a hint has arrived by ``now_ms``, milliseconds since the epoch."""
        if not self.away:
            for ready, _ in self._hints:
                if ready <= now_ms:
                    return True
        return False

    def close(self) -> None:
        """Nothing to close; what a client of either kind may call."""
