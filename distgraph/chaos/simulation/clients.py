"""Clients of the simulation: they submit, wait, answer, repair, cancel, and do it again where they were cut off.

Each is a straight piece of code on a strand of its own, over the real client of a cluster. A client that dies is started
again and makes the same calls; so does one whose run the server has lost in a roll-back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

from distgraph.chaos.simulation import graphs
from distgraph.chaos.simulation.fleet import Process, registry
from distgraph.chaos.simulation.schedule import Subject
from distgraph.cluster.batch import Batch
from distgraph.cluster.client import Cluster
from distgraph.cluster.handle import RunHandle
from distgraph.cluster.options import RETENTION, RETRIES, retention_ms
from distgraph.cluster.overload import Gate
from distgraph.engine.opening import command_writes
from distgraph.errors import (
    BatchCancelledError,
    DistgraphError,
    NodeTimeoutError,
    PoisonTaskError,
    RunCancelledError,
    RunTimeoutError,
    StepTimeoutError,
    StoreError,
    ThreadBusyError,
    UnknownInterruptError,
    WaitTimeoutError,
)
from distgraph.testing.slots import Guarded, SlotDied

if TYPE_CHECKING:
    from distgraph.chaos.simulation.world import World

T = TypeVar("T")

#: Where a run stays until somebody does something about it.
AT_REST = (b"done", b"failed", b"cancelled", b"interrupted")
#: A client that was cut off, or refused for now, tries again after so many turns.
_AGAIN = 4


class Desk(Cluster):
    """The real client, reaching the simulated server as one process does."""

    def __init__(self, world: World, process: Process) -> None:
        # Not the base's: it builds a codec, which all schedules share here.
        memory = world.memory
        self.ledger = SimpleNamespace(  # type: ignore[assignment]
            runs=process.runs,
            batches=process.batches,
            fleet=memory.fleet,
            items=memory.items,
            kept=memory.kept,
            lines=Guarded(memory.lines, process, "lines"),
            namespace="sim",
        )
        self.dispatcher = process.dispatcher  # type: ignore[assignment]
        self.persistence, self._secret, self._graphs = "memory", None, {}
        self.gate = Gate(self)
        self._retain_ms = retention_ms(RETENTION)
        self._registry = registry(world.names, False)
        self._now_ms = world.clock.ms

    def codec(self, graph: Any = None) -> Any:
        return self._registry.get(graph.name).codec

    def codec_of(self, name: str) -> Any:
        return self._registry.get(name).codec

    def saver(self, codec: Any) -> None:
        return None

    def now_ms(self) -> int:
        return self._now_ms()

    def bound(self, subject: Subject) -> Any:
        """The graph that somebody wants, bound to this cluster."""
        bound: Any = self.bind(self._registry.get(subject.graph).graph, placement=subject.placement)
        if subject.step_ms:
            bound.step_timeout = subject.step_ms / 1000
        return bound

    def writes(self, name: str) -> Any:
        """What a graph's ``graphs.command`` writes where its run has failed."""
        return command_writes(self._registry.get(name).program, graphs.command(None))


def limits_of(subject: Subject) -> dict[str, Any]:
    """The options of a run or batch that limit it."""
    budget = RETRIES if subject.budget is None else subject.budget
    return {"retry_budget": budget, "time_limit": subject.limit_ms / 1000 if subject.limit_ms else None}


class Client:
    """One client and its script.

    Attributes:
        ended: it has done what it wanted.
        final: what it saw last: a final state, an exception, or the rows of a batch; None before.
    """

    def __init__(self, world: World, number: int, subject: Subject) -> None:
        self.world, self.number, self.subject = world, number, subject
        self.ended = False
        self.final: Any = None
        self.deaths = 0
        #: What ran out of time was given all of it once more.
        self.once_more = False
        self._waits: Callable[[], bool] = lambda: True
        self._doubts = self._unseen = False
        self._begin()

    def _begin(self) -> None:
        self.process = Process(self.world, None, registry(self.world.names, False), f"c{self.number}", self.deaths)
        self.desk = Desk(self.world, self.process)
        self.process.begin(self._life)
        self._waits = lambda: True
        #: The server has lost something since this began; since it last looked.
        self._doubts = self._unseen = False

    def wants(self) -> bool:
        """Whether it would do something now."""
        return not self.ended and self.process not in self.world.standing and self._waits()

    def go_on(self) -> None:
        """Let it do the next thing."""
        self.process.go_on()

    def server_restarted(self, *, lost: bool) -> None:
        """The server came back; where it lost something, whoever had an answer asks again."""
        self._doubts = self._doubts or lost
        self._unseen = self._unseen or lost
        if lost and self.ended:
            self.ended = False
            self._begin()

    def until(self, found: Callable[[], bool]) -> None:
        """Wait until something is to be seen."""
        self._waits = found
        strand = self.process.strand
        assert strand is not None
        strand.stand_still()
        if self.process.dead:
            raise SlotDied(self.process.name)

    def a_while(self) -> None:
        """Wait a few turns."""
        world, until = self.world, self.world.turns + _AGAIN
        self.until(lambda: world.turns >= until)

    def insist(self, call: Callable[[], T]) -> T:
        """Make a call until the server can be reached."""
        while True:
            try:
                return call()
            except StoreError:
                self.a_while()

    def _life(self) -> None:
        self._run()
        if not self.ended and not self.world.closing:
            self.deaths += 1
            self._begin()

    def _run(self) -> None:
        try:
            self.final = self.script()
            self.ended = not self._doubts
        except SlotDied:
            pass
        except DistgraphError as exc:
            # Where the server has lost something, that is no surprise, and the client begins again.
            self.ended = not self._doubts
            if self.ended:
                self.world.history.violate("I15", f"a client got {type(exc).__name__}: {exc}", exc)
        except Exception as exc:
            self.world.history.violate("I15", f"a client got {type(exc).__name__}: {exc}", exc)
            self.ended = True

    def script(self) -> Any:
        """What it does, from the beginning."""
        raise NotImplementedError

    # ------------------------------------------------------------- of a run

    def rests(self, handle: RunHandle) -> bool:
        """Whether a run is at rest, or lost; looked up without asking, as it costs a real client nothing to wait."""
        record = self.world.memory.state.records.get(self.world.memory.state.key(handle._address))
        return record is None or record["status"] in AT_REST

    def outcome(self, handle: RunHandle) -> Any:
        """The state that a run comes to, or the error it ends with; on the way it is answered and repaired."""
        subject, world = self.subject, self.world
        while True:
            self.until(partial(self.rests, handle))
            try:
                state = self.insist(lambda: handle.result(0))
            except (RunTimeoutError, StepTimeoutError) as exc:
                if not subject.limited:
                    raise
                world.history.oks["out of time"] += 1
                if self.once_more:
                    return exc
                self.once_more = True
                self._again(handle.retry)
                continue
            except (graphs.Failure, NodeTimeoutError) as exc:
                if subject.budget is not None:
                    return exc
                if subject.graph not in graphs.FAILING:
                    raise
                if subject.told and handle.run_id not in world.history.facts.changes:
                    # It fails once more with that; what it was told must not be lost by that.
                    self._again(partial(handle.retry, writes=self.desk.writes(subject.graph)), telling=True)
                    continue
                world.history.repaired.add(handle.run_id)
                self._again(handle.retry)
                continue
            except (PoisonTaskError, RunCancelledError) as exc:
                return exc
            except WaitTimeoutError:
                # Somebody else has answered since it was seen at rest.
                continue
            if not isinstance(state, dict) or "__interrupt__" not in state:
                return state
            self._answer_to(handle, graphs.ANSWERS[0])

    def _answer_to(self, handle: RunHandle, answer: str) -> None:
        told = self.subject.told
        self._again(partial(handle.resume, graphs.command(answer) if told else answer), telling=told)

    def _again(self, call: Callable[[], Any], *, telling: bool = False) -> None:
        """Resume or retry a run, ``telling`` what to change; somebody else may have done so."""
        try:
            self.process.telling = telling
            self.insist(call)
            self.world.history.oks["told" if telling else "resumed"] += 1
        except (UnknownInterruptError, ThreadBusyError):
            self.a_while()
        finally:
            self.process.telling = False


class RunClient(Client):
    """Submits a run and waits for it; ``first`` is the number of the first client that shares its thread."""

    def __init__(self, world: World, number: int, subject: Subject, first: int) -> None:
        self.first = first
        super().__init__(world, number, subject)

    @property
    def run_id(self) -> str:
        """The id of its run."""
        return f"run-{self.number}"

    @property
    def thread_id(self) -> str:
        """The thread of its run: of its own, or the one that it shares with its rival."""
        return self.run_id if self.subject.runs == 1 else f"thread-{self.first}"

    def script(self) -> Any:
        subject, bound = self.subject, self.desk.bound(self.subject)
        config = {"configurable": {"thread_id": self.thread_id}}
        given = graphs.given(subject.total, deadly=bool(subject.deadly))
        while True:
            try:
                handle = self.insist(
                    lambda: bound.submit(
                        given,
                        config,
                        run_id=self.run_id,
                        keep=subject.keep,
                        log=subject.log,
                        multitask_strategy=subject.strategy,
                        **limits_of(subject),
                    )
                )
                break
            except ThreadBusyError:
                if subject.strategy != "reject":
                    raise
                self.world.history.oks["refused"] += 1
                self.a_while()
        if subject.cancel:
            self.until(lambda: self.world.turns >= subject.cancel or self.rests(handle))
            if self.insist(handle.cancel):
                self.world.history.oks["cancelled"] += 1
        return self.outcome(handle)


class Rival(Client):
    """Answers what somebody else's run asks, too."""

    def __init__(self, world: World, number: int, subject: Subject, of: RunClient) -> None:
        self.of = of
        super().__init__(world, number, subject)

    def script(self) -> Any:
        state = self.world.memory.state
        key = state.key(state_address(self.of))
        self.until(lambda: state.records.look(key).get("status") == b"interrupted" or self.of.ended)
        if self.of.ended:
            return None
        self._answer_to(self.insist(lambda: self.desk.run(self.of.run_id)), graphs.ANSWERS[1])
        return None


def state_address(client: RunClient) -> Any:
    """Where a client's run lives."""
    from distgraph.ledger.replies import Address

    return Address(client.run_id, client.thread_id)


class BatchClient(Client):
    """Submits a batch and waits for its rows."""

    @property
    def batch_id(self) -> str:
        """The id of its batch."""
        return f"batch-{self.number}"

    def script(self) -> Any:
        subject, bound = self.subject, self.desk.bound(self.subject)
        items = [graphs.given(subject.total + at, deadly=at < subject.deadly) for at in range(subject.items)]
        try:
            batch: Batch = self.insist(lambda: bound.submit_batch(items, batch_id=self.batch_id, **limits_of(subject)))
        except BatchCancelledError:
            # It was cancelled while its items were sent, and holds those that came before that.
            if not subject.cancel:
                raise
            batch = self.desk.batch(self.batch_id)
        if subject.pause:
            self.until(lambda: self.world.turns >= subject.pause or self.rested())
            self.insist(batch.pause)
            self.a_while()
            self.insist(batch.unpause)
        if subject.cancel:
            self.until(lambda: self.world.turns >= subject.cancel or self.rested())
            self.insist(batch.cancel)
            self.world.history.oks["cancelled"] += 1
        while True:
            self.until(lambda: self.rested() or self.asks() or self._unseen)
            self._unseen = False
            # Whoever waits looks all the time, and notices what the server has lost.
            status = self.insist(batch.status)
            if not self.rested():
                self._answer()
                continue
            rows = self.insist(lambda: list(batch.results()))
            failed = [row for row in rows if row.status == "failed"]
            again = subject.graph in graphs.FAILING or (subject.limited and not self.once_more)
            if again and failed and not subject.cancel:
                self.once_more = True
                self.world.history.repaired.update(row.run_id for row in failed)
                self.insist(batch.retry_failed)
                self.world.history.oks["retried"] += len(failed)
                continue
            self.insist(lambda: batch.wait(0))
            return status, rows

    def rested(self) -> bool:
        """Whether every item is at rest, or the batch is lost."""
        state, done = self.world.memory.state, 0
        if self.batch_id not in state.manifests:
            return True
        for partition in range(state.keys.partitions):
            part = state.parts.get((self.batch_id, partition))
            if part is not None:
                if part.state == "cancelled":
                    return True
                done += part.done + part.failed + part.cancelled
        return done >= self.subject.items

    def _asking(self) -> list[str]:
        state = self.world.memory.state
        prefix = self.batch_id + ":"
        return [
            key.run_id
            for key, record in state.records.items()
            if key.run_id.startswith(prefix) and record.get("status") == b"interrupted"
        ]

    def asks(self) -> bool:
        """Whether an item waits for an answer."""
        return self.subject.graph in graphs.ASKING and bool(self._asking())

    def _answer(self) -> None:
        for run_id in self._asking():
            self._answer_to(self.insist(partial(self.desk.run, run_id)), graphs.ANSWERS[0])


def clients_of(world: World) -> list[Client]:
    """Who takes part in a schedule."""
    out: list[Client] = []
    for subject in world.schedule.subjects:
        if subject.items:
            out.append(BatchClient(world, len(out) + 1, subject))
            continue
        number = len(out) + 1
        for _ in range(subject.runs):
            out.append(RunClient(world, len(out) + 1, subject, number))
        if subject.rivals > 1:
            first = out[-1]
            assert isinstance(first, RunClient)
            out.append(Rival(world, len(out) + 1, subject, first))
    return out
