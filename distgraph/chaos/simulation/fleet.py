"""Processes of the simulation: workers with their children and their watcher, and whoever else reaches the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import inf
from typing import TYPE_CHECKING, Any, cast

from distgraph.chaos.simulation import graphs
from distgraph.chaos.simulation.outages import OwnBroker, offered_again
from distgraph.chaos.simulation.strands import Strand
from distgraph.cluster.deliver import deliver
from distgraph.cluster.hints import Hint, queue_name
from distgraph.cluster.liveness import TTL_MS, work_of
from distgraph.cluster.recover import Sweeper
from distgraph.cluster.registry import Registry
from distgraph.cluster.workplace import Workplace
from distgraph.errors import StoreError
from distgraph.testing.slots import Guarded, Slot, SlotDied

if TYPE_CHECKING:
    from distgraph.chaos.simulation.world import World


#: Between two looks whether the ledger is back. Milliseconds.
_KNOCKS_MS = (100, 300)


@cache
def registry(names: tuple[str, ...], changed: bool) -> Registry:
    """What a worker serves; ``changed``: some of it in another version. Shared by all schedules: it is only read."""
    made = Registry()
    for name in names:
        made.add(graphs.graph(name, 2 if changed and name in graphs.CHANGED else 1))
    return made


class Process(Slot):
    """Somebody who reaches the ledger, passes points and is struck there.

    Attributes:
        worker: whose child or watcher this is; None: a client.
        strand: what it does now, if that can stand still.
        cut: so many of its next points find the server out of reach.
        twice: its next call is sent twice.
        wake: the turn until which it stands still; ``wake_ms``: the time until which it does.
        resume: lets it go on then.
        ends_ms: when the time of the node that runs is over: whoever watches ends the process then; None: never.
        telling: the Command that it is about to give changes the state too.
        patient: it offers results again while the server is away.
        claimed: the event at which it last took work.
        looked: the event at which it last found that an effect was not recorded.
    """

    def __init__(self, world: World, worker: Worker | None, served: Registry, boot: str, pid: int) -> None:
        super().__init__(pid, served, world.at_point)  # type: ignore[arg-type] # points are passed by processes here
        self.world, self.worker = world, worker
        world.processes.append(self)
        self.boot, self.pid = boot, pid
        self.strand: Strand | None = None
        self.cut = self.wake = self.wake_ms = self.claimed = self.looked = 0
        self.twice = self.telling = self.patient = False
        self.ends_ms: float | None = None
        self.resume: Callable[[], None] = self.go_on
        self.runs = cast(Any, Guarded(world.memory.runs, self, "runs"))
        self.batches = cast(Any, Guarded(world.memory.batches, self, "batches"))
        self.dispatcher = OwnBroker(world.broker, self, world.clock)

    def guarded(self, label: str, found: Callable[..., Any]) -> Callable[..., Any]:
        before, after, history = "before " + label, "after " + label, self.world.history
        judge = history.judge(label)

        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.point(before)
            answer = found(*args, **kwargs)
            history.events += 1
            if judge is not None:
                judge(self, args, kwargs, answer)
            if self.twice:
                # The client library lost the reply and sends the same words again.
                self.twice = False
                answer = found(*args, **kwargs)
                history.events += 1
                if judge is not None:
                    judge(self, args, kwargs, answer)
            self.point(after)
            return answer

        return offered_again(label, guarded, self) if self.patient else guarded

    def point(self, label: str) -> None:
        if self.dead:
            raise SlotDied(self.name)
        world = self.world
        world.points += 1
        if world.points >= world.next_harm or self.cut:
            world.at_point(self, label)

    def watch(self, what: str, seconds: float | None) -> None:
        self.ends_ms = None if seconds is None else self.world.now_ms + seconds * 1000
        super().watch(what, seconds)
        if what and not self.dead:
            self.world.take_time(self)

    def renew(self, what: str, seconds: float) -> None:
        self.ends_ms = None if seconds == inf else self.world.now_ms + seconds * 1000
        super().renew(what, seconds)

    def stand_still(self, turns: int) -> bool:
        """Others go on for so many turns. False: what it does cannot be stopped in its middle."""
        if self.strand is None:
            return False
        self.wake = self.world.turns + turns
        self.world.standing.append(self)
        self.strand.stand_still()
        if self.dead:
            raise SlotDied(self.name)
        self.keep_time()
        return True

    def keep_time(self) -> None:
        """End with the time of the node that runs.

        Raises:
            SlotDied: it is over.
        """
        if self.ends_ms is not None and self.world.now_ms >= self.ends_ms:
            self.world.history.oks["timed out"] += 1
            self.ends_ms = None
            self.overrun()

    def wait(self, choice: Sequence[int]) -> None:
        """Let one of these times pass, in milliseconds; others go on meanwhile if they can."""
        ms = self.world.random.choice(choice)
        self.wake_ms = self.world.now_ms + ms
        if not self.stand_still(0):
            self.world.tick(ms)

    def run(self, work: Callable[[], None]) -> None:
        """Begin something, which may end later."""
        if self.world.freezing:
            self.begin(work)
            self.go_on()
        else:
            work()

    def begin(self, work: Callable[[], None]) -> None:
        """Let what comes be able to stand still. It begins when this is let go on."""

        def to_its_end() -> None:
            try:
                work()
            finally:
                if self.strand is strand:
                    self.strand = None

        self.strand = strand = Strand(self.world.play, to_its_end)

    def go_on(self) -> None:
        """Begin, or go on with what stood still, when this turn is over."""
        assert self.strand is not None
        self.strand.go_on()


class Worker:
    """One worker: a watcher, which beats and sweeps, and children, which work.

    Attributes:
        up: whether it runs; if not, it starts again at ``back_ms``.
        frozen_ms: it stands still, all of it, until then.
        draining: it ends when its children are done.
        froze: it stood still at some time, so that others may have taken it for dead.
        beat_ms: when it last beat.
    """

    def __init__(self, world: World, number: int, slots: int, served: Registry) -> None:
        self.world, self.number, self.slots, self.registry = world, number, slots, served
        self.starts = self.pids = 0
        self.deployed = False
        self.start()

    def deploy(self) -> None:
        """End in an orderly way, and come back with the other version."""
        self.draining = self.deployed = True

    def start(self) -> None:
        """A new worker process, with another boot nonce."""
        if self.deployed:
            self.deployed = False
            self.registry = registry(self.world.names, self.registry is registry(self.world.names, False))
        self.starts += 1
        self.boot = f"w{self.number}-{self.starts}"
        self.up, self.draining, self.froze = True, False, False
        self.back_ms = self.frozen_ms = 0
        #: Children that died and were not looked into yet: (slot, what its row said, whether it was over its time limit).
        self.fallen: list[tuple[str, str, bool]] = []
        self.buried: list[str] = []
        self.watcher = self._process()
        self.sweeper = Sweeper(
            self.watcher.runs,
            self.watcher.batches,
            cast(Any, self.world.memory.fleet),
            cast(Any, self.world.memory.lines),
            self.registry,
            self.watcher.dispatcher,
            self.world.clock.seconds,
        )
        self.children = [self._child() for _ in range(self.slots)]
        self.world.memory.fleet.serve(self.registry.about())
        self.about = {
            "name": f"worker-{self.number}",
            "host": "simulated",
            "pid": self.starts,
            "pool": "prefork",
            "concurrency": self.slots,
            "graphs": self.registry.names(),
            "queues": [queue_name("sim")],
            "boot": self.boot,
        }
        self.beat_ms = -TTL_MS
        self.beat()

    def _process(self) -> Process:
        self.pids += 1
        return Process(self.world, self, self.registry, self.boot, self.pids)

    def _child(self) -> Process:
        world, made = self.world, self._process()
        made.patient = world.schedule.patient
        made.place = Workplace(
            runs=made.runs,
            batches=made.batches,
            items=cast(Any, Guarded(world.memory.items, made, "items")),
            kept=cast(Any, Guarded(world.memory.kept, made, "kept")),
            lines=cast(Any, Guarded(world.memory.lines, made, "lines")),
            fleet=cast(Any, Guarded(world.memory.fleet, made, "fleet")),
            registry=self.registry,
            dispatcher=made.dispatcher,
            slot=made.name,
            watch=made.watch,
            renew=made.renew,
            draining=lambda: self.draining,
            idle=lambda: len(world.idle()),
            slots=lambda: world.slots,
            monotonic=world.clock.seconds,
            now=world.clock.seconds,
            noise=world.random.getrandbits,
        )
        return made

    # ------------------------------------------------------------- what it does

    @property
    def moves(self) -> bool:
        """It runs and is not frozen."""
        return self.up and self.frozen_ms <= self.world.now_ms

    def beat(self) -> None:
        """Say that it lives. Where that cannot be heard, it knows of an outage."""
        if self.world.weather.ledger_away:
            self.sweeper.distrust()
            return
        self.beat_ms = self.world.now_ms
        names: list[str] = []
        works: dict[str, str] = {}
        for child in self.children:
            if not child.dead:
                names.append(child.name)
            if child.busy:
                works[child.name] = work_of(child.what)
        busy = len(works)
        record = {
            **self.about,
            "slots": names,
            "dead": self.buried,
            "busy": busy,
            "works": works,
            "beat": self.beat_ms,
            "idle": 0 if self.draining else self.slots - busy,
        }
        self.world.memory.fleet.beat(self.boot, record, ttl_ms=TTL_MS)

    def beat_if_able(self) -> None:
        """Beat, if neither it nor its watcher stands still."""
        if self.moves and not self.watcher.busy:
            self.beat()

    def deliver(self, child: Process, hint: Hint) -> None:
        """A child works for one hint, to its end or to its own."""

        def wait() -> None:
            if self.world.weather.ledger_away:
                child.wait(_KNOCKS_MS)
            else:
                child.stand_still(1)

        def work() -> None:
            child.work(lambda place, given: deliver(place, given, wait), hint)

        def attended() -> None:
            try:
                work()
            except SlotDied:
                raise
            except Exception as exc:
                self.world.history.violate("I15", f"a driver raised {type(exc).__name__}: {exc}", exc)
            finally:
                self._ended(child)

        child.run(attended)

    def _ended(self, child: Process) -> None:
        if child.dead and self.up and child in self.children:
            self.fallen.append((child.name, child.what, child.late))
            self.children[self.children.index(child)] = self._child()
        self.end_if_drained()

    def sweep(self) -> None:
        """One round of the watcher: look into deaths, beat, sweep."""
        watcher = self.watcher
        watcher.busy = True
        watcher.run(self._round)

    def _round(self) -> None:
        try:
            while self.fallen:
                slot, what, late = self.fallen[0]
                stopped = late and self.sweeper.note_late(what)
                if slot not in self.buried:
                    self.buried.append(slot)
                if what:
                    self.sweeper.bury(slot, what, crashed=not stopped)
                self.fallen.pop(0)
            self.beat()
            self.sweeper.sweep()
        except SlotDied:
            pass
        except StoreError:
            self.sweeper.distrust()
        except Exception as exc:
            self.world.history.violate("I15", f"a sweep raised {type(exc).__name__}: {exc}", exc)
        finally:
            self.watcher.busy = False

    def end_if_drained(self) -> None:
        """End in an orderly way, if that was asked for, no child works any more and every death is looked into."""
        if (
            self.draining
            and self.up
            and not self.fallen
            and not any(child.busy for child in (*self.children, self.watcher))
        ):
            if not self.world.weather.ledger_away:
                self.world.memory.fleet.leave(self.boot)
            self.fall(100)

    def fall(self, back_in_ms: int) -> None:
        """The whole worker dies; somebody starts it again."""
        self.up, self.back_ms = False, self.world.now_ms + back_in_ms
        for process in (self.watcher, *self.children):
            process.dead = True
