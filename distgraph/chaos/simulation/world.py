"""A schedule while it is played: the ledger's twin, a broker, workers and clients, and one thing at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import ceil
from random import Random

from distgraph.chaos.simulation.clients import Client, clients_of
from distgraph.chaos.simulation.fleet import Process, Worker, registry
from distgraph.chaos.simulation.history import History
from distgraph.chaos.simulation.outages import Weather
from distgraph.chaos.simulation.schedule import Fault, Schedule
from distgraph.chaos.simulation.strands import Play
from distgraph.cluster.liveness import BEAT_SECONDS
from distgraph.errors import ServerUnreachableError
from distgraph.ledger.keys import Keys
from distgraph.ledger.memory import MemoryLedger
from distgraph.ledger.replies import Address
from distgraph.testing.broker import Broker
from distgraph.testing.clock import Clock
from distgraph.testing.slots import SlotDied

#: The shortest time that passes where nobody has anything to do. Milliseconds.
_LOOK_MS = 20
#: How long a worker that died is gone. Milliseconds.
_BACK_MS = (50, 500, 3000)
#: Whoever is still at work after so many points never ends.
_MOST_POINTS = 20_000
#: A schedule that has not come to its end after so many turns, or so much simulated time, never will.
_MOST_TURNS = 3000
_MOST_MS = 300_000
#: How long after its last beat a worker beats again. Milliseconds.
_BEAT_MS = round(BEAT_SECONDS * 1000)
#: Where one of these is to come, whoever begins something must be able to stand still in it.
_STANDING = ("freeze", "freeze tree", "ledger away")
#: Some worker sweeps at least this often. Milliseconds.
_SWEEP_MS = 1000
#: What it takes to hand a hint to a process. Milliseconds.
_DELIVERY_MS = 1
#: The chance that time passes although somebody has something to do.
_IMPATIENCE = 0.04


class World:
    """All there is in one schedule.

    Attributes:
        points: points passed so far, by anybody.
        turns: things that happened so far.
        standing: processes that stand still in the middle of something.
        processes: all there ever were.
        next_harm: the point from which on harm may be done.
        play: lets strands go on between turns.
        closing: whatever still stands is ended, and nothing begins any more.
        freezing: something may still be frozen, so what begins must be able to stand still.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.random, self.clock = Random(schedule.seed), Clock()
        self.broker = Broker(self.clock, self.random, schedule.hints)
        self.weather = Weather(self.clock, self.broker)
        self.memory = MemoryLedger(Keys("sim", 2), self.clock.ms)
        self.points = self.turns = 0
        self.play, self.closing = Play(self._take_turn, self._fail), False
        self._error: BaseException | None = None
        self._last_ms = self.clock.ms() + _MOST_MS
        self.standing: list[Process] = []
        self.processes: list[Process] = []
        self._plan = _by_point(fault for fault in schedule.faults if not fault.at)
        self._aimed = [fault for fault in schedule.faults if fault.at]
        #: How often points that are aimed at were passed.
        self._passed: Counter[str] = Counter()
        self._look_ahead()
        self.freezing = self._may_freeze()
        self._swept_ms = self.clock.ms()
        #: What the server saved, newest last: (ms, its journal, our history). Kept only where it is rolled back.
        self._saved: list[tuple[int, int, int]] = []
        self._saves = any(fault.kind == "roll back" for fault in schedule.faults)
        #: How often the server lost what it had not saved.
        self.rolled_back = 0
        self.history = History(self)
        self.memory.fleet.join()
        self.slots = sum(schedule.fleet)
        self.names = tuple(sorted({subject.graph for subject in schedule.subjects}))
        last = len(schedule.fleet) - 1
        self.workers: list[Worker] = []
        for number, slots in enumerate(schedule.fleet):
            served = registry(self.names, schedule.changed and number == last)
            self.workers.append(Worker(self, number, slots, served))
        self.clients: list[Client] = clients_of(self)
        self._save()

    @property
    def now_ms(self) -> int:
        """The time, milliseconds since the epoch."""
        return self.clock.ms()

    # ------------------------------------------------------------- one turn

    def to_its_end(self) -> None:
        """Take turns until every client has what it wanted, and then until nothing is left to happen.

        Raises:
            BaseException: what the simulation itself raised.
        """
        self.play.run()
        if self._error is not None:
            raise self._error

    def forget(self) -> None:
        """Let go of all there is. What took part refers to the rest in circles, which would wait for a garbage collection."""
        for process in self.processes:
            if hasattr(process, "place"):
                process.place.recent = None
        desks = [client.desk for client in self.clients]
        for part in (*self.processes, *self.workers, *desks, *self.clients, self.history, self):
            vars(part).clear()

    def _take_turn(self) -> bool:
        self.closing = self.closing or not self._goes_on()
        return not self.closing or self._end_one()

    def _goes_on(self) -> bool:
        """Take a turn, if there is one to take and nothing is wrong so far."""
        history = self.history
        if self.turns > _MOST_TURNS or self.now_ms > self._last_ms:
            history.violate("I11", self.stuck())
            return False
        if history.violations or not (self._wanted() or self.unsettled()):
            return False
        if not self.turn():
            history.violate("I11", self.stuck())
            return False
        return True

    def _wanted(self) -> bool:
        """Whether somebody does not have yet what he wants."""
        return any([not client.ended for client in self.clients])

    def _fail(self, error: BaseException) -> None:
        self._error, self.closing = self._error or error, True

    def _end_one(self) -> bool:
        """Let somebody who still stands in the middle of something die there. False: nobody does."""
        for process in (*self.standing, *(client.process for client in self.clients)):
            process.dead = True
            if process.strand is not None and process.strand.carrier is not None:
                process.go_on()
                return True
        return False

    def turn(self) -> bool:
        """The next thing happens. False: there is none left."""
        self.turns += 1
        if self._saves:
            self._save()
        random = self.random
        now = self.clock.ms()
        ready = [process for process in self.standing if self._may_go_on(process, now)] if self.standing else []
        callers = [client for client in self.clients if not client.ended and client.wants()]
        idle = self.idle() if self.broker.arrived(now) else []
        count = len(ready) + len(callers) + bool(idle)
        if not count or random.random() < _IMPATIENCE:
            return self._pass_time()
        chosen = random.randrange(count)
        if chosen < len(ready):
            process = ready[chosen]
            self.standing.remove(process)
            process.resume()
        elif chosen < len(ready) + len(callers):
            callers[chosen - len(ready)].go_on()
        else:
            self._deliver(random.choice(idle))
        return True

    def idle(self) -> list[Process]:
        """Children that wait for work."""
        now = self.clock.ms()
        return [
            child
            for worker in self.workers
            if worker.up and worker.frozen_ms <= now and not worker.draining
            for child in worker.children
            if not child.busy
        ]

    def _deliver(self, child: Process) -> None:
        hint = self.broker.take()
        assert hint is not None
        assert child.worker is not None
        self.tick(_DELIVERY_MS)
        child.worker.deliver(child, hint)

    def _may_go_on(self, process: Process, now: int) -> bool:
        return process.dead or (process.wake <= self.turns and self._held_ms(process) <= now)

    @staticmethod
    def _held_ms(process: Process) -> int:
        """Until when somebody stands still whatever the others do: 0 where that is not a matter of time."""
        frozen = process.worker.frozen_ms if process.worker is not None else 0
        return process.wake_ms if process.wake_ms > frozen else frozen

    # ------------------------------------------------------------- what can be seen from outside

    def active(self, run_id: str, thread_id: str) -> bool:
        """Whether a run has its thread."""
        record = self.memory.state.records.look(self.memory.state.key(Address(run_id, thread_id)))
        return record.get("status") in (b"queued", b"running")

    def unsettled(self) -> bool:
        """Whether something is still to happen: work that stands still, a hint on its way, an entry that is due."""
        return bool(self.standing or self.broker.next_ms() or any(self.memory.state.due.values()))

    def stuck(self) -> str:
        """Why this never ends."""
        waiting = [f"{type(client).__name__} {client.number}" for client in self.clients if not client.ended]
        due = sorted(entry for table in self.memory.state.due.values() for entry in table)
        statuses = {key.run_id: record.get("status", b"").decode() for key, record in self.memory.state.records.items()}
        hints = self.broker.hints()[:3]
        return f"no end after {self.turns} turns: waiting {waiting}, due {due}, runs {statuses}, hints {hints}"

    def heal(self) -> None:
        """Nothing strikes any more."""
        self._plan.clear()
        self._aimed.clear()
        self.weather.clear_up(at_once=True)
        self._look_ahead()
        for client in self.clients:
            client.process.cut, client.process.dead = 0, False

    # ------------------------------------------------------------- time

    def tick(self, ms: float) -> None:
        """Let time pass; workers beat meanwhile."""
        while ms > 0:
            # Whoever beats does so in the middle of a long time too.
            part = ms if ms < 500.0 else 500.0
            self.clock.advance(part)
            ms -= part
            if not self.weather.fair:
                self._clear_up()
            late = self.clock.ms() - _BEAT_MS
            for worker in self.workers:
                if worker.beat_ms <= late:
                    worker.beat_if_able()

    def _clear_up(self) -> None:
        self.weather.clear_up()
        self._look_ahead()

    def _pass_time(self) -> bool:
        """Time passes until something is due, and somebody sweeps. False: nothing is."""
        soonest = self._next_ms()
        if soonest is None:
            return False
        self.tick(max(_LOOK_MS, soonest - self.clock.ms()))
        now = self.clock.ms()
        awake: list[Worker] = []
        for worker in self.workers:
            if worker.draining:
                worker.end_if_drained()
            if not worker.up and worker.back_ms <= now and not self.weather.ledger_away:
                worker.start()
            if worker.up and worker.frozen_ms <= now and not worker.watcher.busy:
                awake.append(worker)
        if awake and self._worth_a_sweep():
            self._swept_ms = now
            self.random.choice(awake).sweep()
        return True

    def _worth_a_sweep(self) -> bool:
        """Something is due, somebody died, or nobody has looked for as long as a worker sleeps between two looks."""
        now = self.clock.ms()
        if now - self._swept_ms >= _SWEEP_MS:
            return True
        due = [min(table.values()) for table in self.memory.state.due.values() if table]
        return (bool(due) and min(due) <= now) or any([worker.fallen for worker in self.workers])

    def _next_ms(self) -> int | None:
        times = [] if self.weather.fair else self.weather.next_ms()
        for table in self.memory.state.due.values():
            if table:
                times.append(min(table.values()))
        arrival = self.broker.next_ms()
        if arrival is not None and not self.broker.away and self.idle():
            times.append(arrival)
        for worker in self.workers:
            if not worker.up:
                times.append(worker.back_ms)
            elif worker.fallen or worker.draining:
                times.append(self.clock.ms())
        for process in self.standing:
            times.append(self._held_ms(process))
        if not times and self._wanted():
            return self.clock.ms() + _SWEEP_MS // 2
        return min(times, default=None)

    # ------------------------------------------------------------- harm

    def _look_ahead(self) -> None:
        """At which point the next harm may be done."""
        always = self._aimed or self.weather.ledger_away
        self.next_harm = self.points if always else min(self._plan, default=_MOST_POINTS + 1)

    def at_point(self, process: Process, label: str) -> None:
        """Somebody passes a point at which harm may be done.

        Raises:
            SlotDied: and dies there.
            ServerUnreachableError: and finds the server out of reach.
        """
        if self.points > _MOST_POINTS:
            if not self.history.violations:
                self.history.violate("I11", f"{process.name} goes round and round: {label}")
            process.dead = True
            raise SlotDied(process.name)
        fault = self._plan.pop(self.points, None) or self._aimed_at(label)
        if fault is not None:
            self._look_ahead()
            self._strike(fault, process, label)
        away = self.weather.ledger_away and label != "before publish"
        if (process.cut or away) and not label.startswith("node "):
            process.cut -= not away
            raise _unreachable(process)

    def _aimed_at(self, label: str) -> Fault | None:
        """The fault that waited for just this."""
        if not self._aimed:
            return None
        self._passed[label] += 1
        for fault in self._aimed:
            if fault.at == label and fault.nth <= self._passed[label]:
                self._aimed.remove(fault)
                return fault
        return None

    def take_time(self, process: Process) -> None:
        """A node takes its time: all wait for it, or others go on meanwhile."""
        if self.broker.faults.node_ms:
            self.tick(self.random.random() * self.broker.faults.node_ms)
        if self.schedule.slow_ms and self.random.random() < 0.5:
            back = self.now_ms + self.random.randint(1, self.schedule.slow_ms)
            process.wake_ms = back if process.ends_ms is None else min(back, ceil(process.ends_ms))
            process.stand_still(0)
        process.keep_time()

    def _may_freeze(self) -> bool:
        """Whether somebody may still have to stand still in the middle of something."""
        left = (*self._plan.values(), *self._aimed)
        waits = self.schedule.slow_ms > 0 or self.schedule.patient
        return waits or any(fault.kind in _STANDING for fault in left)

    def _strike(self, fault: Fault, process: Process, label: str) -> None:
        kind, worker = fault.kind, process.worker
        self.freezing = self._may_freeze()
        self.history.faults[kind] += 1
        if kind == "cut":
            process.cut = fault.much
        elif kind == "repeat":
            process.twice = True
        elif kind == "drop hints":
            self.broker.drop()
        elif kind == "drain":
            if worker is not None:
                worker.draining = True
        elif kind == "deploy":
            if len(self.workers) > 1:
                self.workers[-1].deploy()
        elif kind in ("broker away", "ledger away"):
            self.weather.strike(kind, fault.much)
            self._look_ahead()
        elif kind in ("restart", "roll back"):
            self._restart(fault.much)
            process.cut += 1
        elif kind == "freeze":
            if worker is not None and process is worker.watcher:
                worker.froze = True
            process.stand_still(fault.much)
        elif kind == "freeze tree":
            if worker is not None:
                worker.frozen_ms, worker.froze = self.now_ms + fault.much, True
            process.stand_still(10 if worker is None else 0)
        else:
            if worker is not None and (kind == "kill tree" or process is worker.watcher):
                worker.fall(self.random.choice(_BACK_MS))
            process.dead = True
            raise SlotDied(process.name)

    def _restart(self, lost_ms: int) -> None:
        """The server starts anew, after a while, without what it had not saved."""
        if lost_ms:
            earliest = self.now_ms - lost_ms
            at = next(at for at, (ms, _, _) in enumerate(self._saved) if ms >= earliest or at == len(self._saved) - 1)
            _, journal, mark = self._saved[at]
            del self._saved[at + 1 :]
            self.memory.restore(journal)
            self.history.roll_back(mark)
            self.rolled_back += 1
        # Beats are forgotten while nobody can beat.
        for boot in [*self.memory.state.beats]:
            self.memory.state.beats.drop(boot)
        self.clock.advance(self.random.choice((20, 700, 2500)))
        self._clear_up()
        self.memory.restart()
        for client in self.clients:
            client.server_restarted(lost=bool(lost_ms))

    def _save(self) -> None:
        if self._saves:
            self._saved.append((self.now_ms, self.memory.snapshot(), self.history.mark()))


def _unreachable(process: Process) -> ServerUnreachableError:
    error = ServerUnreachableError("The server cannot be reached: this schedule says so.")
    error.of_ledger = process.worker is not None
    return error


def _by_point(faults: Iterable[Fault]) -> dict[int, Fault]:
    """Point -> the fault that strikes there; of two at one point, the second strikes at the next."""
    out: dict[int, Fault] = {}
    for fault in faults:
        nth = fault.nth
        while nth in out:
            nth += 1
        out[nth] = fault
    return out
