"""What is away for a while: the broker while the ledger stays, or the ledger while the broker stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from distgraph.cluster.celery.outage import Outage
from distgraph.cluster.hints import Hint
from distgraph.errors import ServerUnreachableError
from distgraph.ledger.patience import Patience
from distgraph.testing.broker import Broker
from distgraph.testing.clock import Clock
from distgraph.testing.slots import GuardedBroker, Slot

if TYPE_CHECKING:
    from distgraph.chaos.simulation.fleet import Process

#: How long a worker offers a result again. Seconds.
PATIENCE = 60.0
#: Between two offers. Milliseconds.
_PAUSES_MS = (50, 200, 500)
#: Calls that store what work has come to, as ``distgraph.ledger.patience`` names their scripts.
_RESULTS = frozenset(
    (
        *("runs.commit", "runs.effect", "runs.offer", "runs.retry_task", "runs.settle", "runs.sleep_task"),
        *("batches.commit", "lines.put"),
    )
)


class Weather:
    """Which of the servers can be reached.

    Attributes:
        ledger_away: no call gets through to the ledger.
        outages: how often it was away so far.
    """

    def __init__(self, clock: Clock, broker: Broker) -> None:
        self._clock, self._broker = clock, broker
        self.ledger_away = False
        self.outages = 0
        self._ledger_ms = self._broker_ms = 0

    def strike(self, kind: str, ms: int) -> None:
        """For so many milliseconds: "broker away" or "ledger away"."""
        back = self._clock.ms() + ms
        if kind == "broker away":
            self._broker.away, self._broker_ms = True, max(back, self._broker_ms)
        else:
            self.ledger_away, self._ledger_ms = True, max(back, self._ledger_ms)
            self.outages += 1

    @property
    def fair(self) -> bool:
        """Nothing is away."""
        return not (self.ledger_away or self._broker.away)

    def clear_up(self, *, at_once: bool = False) -> None:
        """What was away for long enough is back."""
        now = self._clock.ms()
        if at_once or now >= self._broker_ms:
            self._broker.away = False
        if at_once or now >= self._ledger_ms:
            self.ledger_away = False

    def next_ms(self) -> list[int]:
        """When something comes back."""
        away = ((self._broker.away, self._broker_ms), (self.ledger_away, self._ledger_ms))
        return [ms for is_away, ms in away if is_away]


class OwnBroker(GuardedBroker):
    """A broker that is another server than the ledger's, as one process reaches it."""

    def __init__(self, broker: Broker, slot: Slot, clock: Clock) -> None:
        super().__init__(broker, slot)
        self._outage = Outage("simulated", clock.seconds)

    def publish(self, hints: Sequence[Hint], *, first: bool = False) -> None:
        """Send hints, one point before each; those that the broker does not take are lost."""
        for hint in hints:
            self._slot.point("before publish")
            if not self._outage.ask(partial(self._push, hint, first), False):
                self._broker.lost += 1

    def _push(self, hint: Hint, first: bool) -> bool:
        self._answers()
        self._broker.publish([hint], first=first)
        return True

    def _answers(self) -> bool:
        if self._broker.away:
            raise ServerUnreachableError("The broker cannot be reached: this schedule says so.")
        return True

    def reachable(self) -> bool:
        """Whether hints arrive now."""
        return self._outage.ask(self._answers, False)

    def waiting(self, queue: str | None = None) -> int:
        """How many hints wait; 0 where that cannot be told."""
        return self._outage.ask(partial(self._count, queue), 0)

    def _count(self, queue: str | None) -> int:
        self._answers()
        return self._broker.waiting(queue)

    def expected(self, queue: str | None = None) -> frozenset[str] | None:
        """What they are for; None where that cannot be told."""
        return self._outage.ask(partial(self._look, queue), None)

    def _look(self, queue: str | None) -> frozenset[str] | None:
        self._answers()
        return self._broker.expected(queue)


def offered_again(label: str, call: Callable[..., Any], process: Process) -> Callable[..., Any]:
    """``call``, made again while the server is away if it stores what work has come to."""
    if label not in _RESULTS:
        return call
    patience = Patience(PATIENCE, monotonic=process.world.clock.seconds, sleep=lambda _: process.wait(_PAUSES_MS))

    @wraps(call)
    def patient(*args: Any, **kwargs: Any) -> Any:
        return patience.through(partial(call, *args, **kwargs))

    return patient
