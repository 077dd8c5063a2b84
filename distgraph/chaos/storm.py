"""A storm: a batch is worked at while everything that takes part in it is killed, stopped and cut off, again and again.

The server is one of the storm's own, with an append-only file, unless another one is given; workers, submitters and the
namespace are the storm's own in any case, and nothing else is ever struck. Everybody reaches the server through a proxy,
which does harm and keeps the ledger's side of the history.
"""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distgraph.chaos import graphs
from distgraph.chaos.checker import check
from distgraph.chaos.clients import Canary, Reader, Submission
from distgraph.chaos.crew import Crew, Submitters
from distgraph.chaos.dump import dump, every_key
from distgraph.chaos.facts import Facts, Limits
from distgraph.chaos.history import Journal, read
from distgraph.chaos.nemesis import KINDS, Plan, Strike, plan
from distgraph.chaos.proxy import Proxy, Shot
from distgraph.chaos.report import Report, report
from distgraph.chaos.rest import keys_of, unrest
from distgraph.chaos.service import Service
from distgraph.chaos.wiretap import Wiretap
from distgraph.cluster import Cluster
from distgraph.cluster.processes import WorkerProcess
from distgraph.errors import ConfigError, StoreError
from distgraph.ledger.connection import parse_url
from distgraph.ledger.keys import CHUNK
from distgraph.ledger.server import EmbeddedServer
from distgraph.types import Placement

#: The work is made to last about this long for each kill, so that the storm has something to hit. Seconds.
PACE = 0.15
#: Between two looks at processes and progress, two reads of results, two samples. Seconds.
TICK, READ_EVERY, SAMPLE_EVERY = 0.02, 0.7, 5.0
START_TIMEOUT = 60.0
#: How long a submitter is at it, at least. Seconds.
SUBMISSION = 1.5
#: How long the end may take to come to rest and be deleted. Seconds.
REST = 20.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a storm is told.

    Attributes:
        items: items of its batches, all together.
        kills: SIGKILLs; other harm comes on top, in proportion.
        kinds: what is struck; None: everything. Of a server that is not the storm's own never the server.
        url: the server; None: one of the storm's own.
        most: seconds after which the storm is given up.
        histories: where histories and the ledger's end are kept; None: they go.
    """

    items: int = 20_000
    supersteps: int = 5
    kills: int = 1000
    seed: int = 1
    workers: int = 4
    pool: str = "prefork"
    placement: Placement = "auto"
    kinds: Collection[str] | None = None
    url: str | None = None
    most: float = 3600.0
    histories: Path | None = None
    limits: Limits = field(default_factory=Limits)

    @property
    def delay_ms(self) -> float:
        """How long every node takes."""
        tasks = sum(len(graphs.tasks(graphs.item(at, steps=self.supersteps))) for at in range(100)) / 100 * self.items
        return round(min(100.0, max(2.0, 1000 * PACE * self.kills * self.workers / tasks)), 1)

    def planned(self) -> Plan:
        """The plan that follows from all this.

        Raises:
            ConfigError: a kind that there is not, or no server of the storm's own to kill.
        """
        kinds = set(self.kinds) if self.kinds is not None else None
        if self.url is not None:
            if kinds is not None and "server" in kinds:
                raise ConfigError(
                    "A storm never kills a server that is not its own: leave out --url, or the kind server."
                )
            kinds = (kinds or set(KINDS)) - {"server"}
        if self.pool != "prefork":
            kinds = (kinds or set(KINDS)) - {"child"}
        return plan(self.kills, self.seed, kinds, workers=self.workers)


def storm(settings: Settings, say: Callable[[str], None]) -> Report:
    """Let it rage; what came of it.

    Args:
        settings: what is done to whom.
        say: is told of progress, a line at a time.

    Raises:
        ConfigError: the settings contradict each other, or no server is found.
        StoreError: the server that was given cannot be used.
    """
    planned = settings.planned()
    with Storm(settings, planned, say) as raging:
        began = time.monotonic()
        raging.rage()
        raging.recover()
        return raging.judge(time.monotonic() - began)


class Storm:
    """The stage of a storm, from ``__enter__`` to ``__exit__``."""

    crew: Crew
    submitters: Submitters
    cluster: Cluster
    canaries: list[Canary]

    def __init__(self, settings: Settings, planned: Plan, say: Callable[[str], None]) -> None:
        self.settings, self.planned, self.say = settings, planned, say
        self.strikes = list(planned.strikes)
        self.shots: list[Shot] = []
        self.healing: float | None = None
        self.server: EmbeddedServer | None = None
        self._stack = ExitStack()
        self._read_at = self._sample_at = self._say_at = 0.0
        self._give_up = time.monotonic() + settings.most

    # ------------------------------------------------------------- beginning and end

    def __enter__(self) -> Storm:
        try:
            self._begin()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _begin(self) -> None:
        settings = self.settings
        self.folder = Path(tempfile.mkdtemp(prefix="distgraph-storm-"))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.journal = Journal(self.folder, "storm")
        if settings.url is None:
            self.server = self._stack.enter_context(EmbeddedServer(persistence="standard"))
        self.direct_url = self.server.url if self.server is not None else str(settings.url)
        where = parse_url(self.direct_url)
        if where.scheme != "redis":
            raise ConfigError("A storm reads and harms what goes over the wire: it needs a plain redis:// server.")
        self.namespace = f"storm-{secrets.token_hex(4)}"
        self.wire = Wiretap(Journal(self.folder, "wire"))
        self.proxy = self._stack.enter_context(Proxy(where.host, where.port, self.wire, password=where.password))
        self.service = self._stack.enter_context(Service())
        self.direct = self._stack.enter_context(Cluster.connect(self.direct_url, namespace=self.namespace))
        self._stack.callback(self._forget)
        self.cluster = self._stack.enter_context(Cluster.connect(self.proxy.url, namespace=self.namespace))
        self.crew = Crew(self._worker, settings.workers, self.journal)
        self._stack.callback(self.crew.kill)
        self._await_workers()
        self.batches = self._batches()
        self.seen: set[int] = set()
        self.submitters = Submitters(self._submissions(), self.folder, self.journal)
        self._stack.callback(self.submitters.end)
        self.canaries = [
            Canary(self.cluster, str(self.folder), number, steps=settings.supersteps, delay_ms=settings.delay_ms)
            for number in range(2)
        ]
        self.reader = Reader(self.cluster, str(self.folder))
        for canary in self.canaries:
            canary.start()

    def _worker(self, name: str) -> WorkerProcess:
        return WorkerProcess(
            graphs=["distgraph.chaos.graphs"],
            url=self.proxy.url,
            namespace=self.namespace,
            name=name,
            log=self.folder / f"{name}.log",
            pool=self.settings.pool,
            env={graphs.FOLDER_VARIABLE: str(self.folder), graphs.SERVICE_VARIABLE: self.service.address},
        )

    def _await_workers(self) -> None:
        for worker in self.crew.workers:
            worker.wait_ready(START_TIMEOUT, lambda pid=worker.pid: any(w.pid == pid for w in self.direct.workers()))  # type: ignore[misc]

    def _batches(self) -> dict[str, tuple[int, int]]:
        """Batch id -> (first item, number of items): about twenty, so that submitters are at it all the time."""
        size = max(100, -(-self.settings.items // 20))
        firsts = range(0, self.settings.items, size)
        return {f"b{at}": (first, min(size, self.settings.items - first)) for at, first in enumerate(firsts)}

    def _submissions(self) -> list[Submission]:
        return [
            Submission(
                url=self.proxy.url,
                namespace=self.namespace,
                folder=str(self.folder),
                batch=batch,
                first=first,
                count=count,
                steps=self.settings.supersteps,
                delay_ms=self.settings.delay_ms,
                placement=self.settings.placement,
                pause=max(0.3, SUBMISSION / -(-count // CHUNK)),
            )
            for batch, (first, count) in self.batches.items()
        ]

    # ------------------------------------------------------------- raging

    def rage(self) -> None:
        """Strike as planned, until all is submitted and struck and only the rest of the work is left."""
        waiting_strikes: list[Strike] = []
        # Strikes at submitters have no victim any more when all is submitted.
        while (
            self.strikes
            or self.crew.again
            or not self.submitters.over
            or any(one.kind != "submitter" for one in waiting_strikes)
        ):
            if time.monotonic() > self._give_up:
                self.say(f"Given up after {self.settings.most:g} s.")
                return
            self._tend()
            part = self.wire.ended / self.settings.items
            while self.strikes and self.strikes[0].at <= part:
                waiting_strikes.append(self.strikes.pop(0))
            # One a turn, so that what has no victim now holds up nobody.
            for strike in waiting_strikes:
                if self._strike(strike):
                    waiting_strikes.remove(strike)
                    break
            time.sleep(TICK)

    def _tend(self) -> None:
        now = time.monotonic()
        self.crew.tend()
        self.submitters.tend(self.wire.ended, max(200, self.settings.items // 10))
        if self.healing is not None and now >= self.healing:
            self.healing = None
            self.proxy.heal()
        for shot in [one for one in self.shots if one.fired]:
            self.shots.remove(shot)
            self.journal.write("fault", "ok", shot.at, harm=shot.fault.harm, script=shot.fault.script)
        if now >= self._sample_at:
            self._sample_at = now + SAMPLE_EVERY
            self._sample()
        if now >= self._say_at:
            self._say_at = now + 10
            self.say(f"{self.wire.ended:,} of {self.settings.items:,} items, {len(self.strikes):,} strikes to come")

    def _strike(self, strike: Strike) -> bool:
        kind, crew = strike.kind, self.crew
        if kind == "child":
            return crew.kill_child(strike.pick, twice=strike.twice, every=strike.every)
        if kind == "tree":
            return crew.kill_tree(strike.pick, twice=strike.twice, every=strike.every)
        if kind == "zombie":
            return crew.pause(strike.pick, strike.seconds)
        if kind == "submitter":
            return self.submitters.kill(0.5 + strike.pick % 100 / 100)
        if kind == "server":
            self._restart_server(strike.seconds)
        elif kind == "reset":
            self.journal.write("reset", "ok", kind="reset")
            self.proxy.reset_all()
        elif kind == "blackhole":
            if self.healing is not None:
                return False
            self.journal.write("blackhole", "ok", kind="blackhole", seconds=strike.seconds)
            self.proxy.blackhole()
            self.healing = time.monotonic() + strike.seconds
        elif strike.fault is not None:
            self.journal.write("fault", "invoke", harm=strike.fault.harm, script=strike.fault.script)
            self.shots.append(self.proxy.arm(strike.fault))
        return True

    def _restart_server(self, seconds: float) -> None:
        assert self.server is not None
        self.journal.write("kill", "invoke", kind="server", pids=[self.server.pid])
        self.server.kill()
        time.sleep(seconds)
        self.server.restart()
        self.journal.write("restart", "ok")

    def _sample(self) -> None:
        try:
            keys = len(every_key(self.direct))
            open_items = self.submitters.submitted - self.wire.ended
            runs = len(self.direct.runs(limit=10_000))
            self.journal.write("sample", "ok", keys=keys, open=max(0, open_items), runs=runs, **self.crew.sample())
        except StoreError:
            return

    # ------------------------------------------------------------- recovering

    def recover(self) -> None:
        """No more harm: let everything come to its end, and to rest."""
        self.proxy.disarm()
        self.proxy.heal()
        self.crew.wake_all()
        self.crew.again.clear()
        self.journal.write("healed", "ok")
        self.say("No more harm; the rest of the work.")
        self._until(lambda: self._finished(), max(self.settings.limits.finish, REST))
        self._retry_quarantined()
        self.journal.write("ended", "ok")
        self.journal.write("live", "ok", pids=self.crew.pids())
        for canary in self.canaries:
            if not canary.stop(REST):
                self.journal.write("exit", "fail", name=f"canary {canary.name}", code=0, text="does not end")
        self._until(lambda: not unrest(self.direct) and not self.direct.dispatcher.waiting(), REST)

    def _finished(self) -> bool:
        found = [self.direct.find_batch(batch) for batch in self.batches]
        return all(batch is not None and batch.status().finished for batch in found)

    def _retry_quarantined(self) -> None:
        """Items that were killed with their process as often as poison is are tried again, as an operator would."""
        for name in self.batches:
            batch = self.direct.find_batch(name)
            poison = [row for row in batch.failures() if "PoisonTaskError" in str(row.error)] if batch else []
            if batch is not None and poison:
                self.journal.write("retry", "ok", batch=name, count=len(poison), runs=[row.run_id for row in poison])
                batch.retry_failed()
        self._until(self._finished, REST)

    def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            self._tend()
            self._see_births()
            try:
                if condition():
                    return True
            except StoreError:
                pass
            time.sleep(0.1)
        return False

    def _see_births(self) -> None:
        """Note processes that were not there before: what is asked of one depends on since when it lives."""
        if new := sorted(set(self.crew.pids()) - self.seen):
            self.seen.update(new)
            self.journal.write("born", "ok", pids=new)

    # ------------------------------------------------------------- judging

    def judge(self, seconds: float) -> Report:
        """Stop everything, read everything, check everything."""
        ended = dump(self.direct, list(self.batches))
        self.crew.stop()
        swept = self._delete()
        self.proxy.close()
        events = read(self.folder)
        facts = Facts(
            events,
            ended,
            self.batches,
            self.settings.supersteps,
            planned=self.planned.victims(),
            swept=swept,
            applied={kind: dict(counts) for kind, counts in self.service.applied.items()},
            keys={who: sorted(keys) for who, keys in self.service.keys.items()},
            limits=self.settings.limits,
        )
        if self.settings.histories is not None:
            self._keep(ended.plain())
        return report(facts, check(facts), seconds=seconds, seed=self.settings.seed)

    def _delete(self) -> list[str]:
        """Delete all batches, runs and threads; the keys that are left, besides the namespace's own."""
        for batch in map(self.direct.find_batch, self.batches):
            if batch is not None:
                batch.delete()
        runs, saver = self.direct.ledger.runs, self.direct.saver(self.direct.codec())
        threads = set()
        for handle in self.direct.runs(limit=100_000):
            threads.add(handle.thread_id)
            handle.cancel()  # one that waits for an answer is not deleted
            runs.delete(handle._address)
        for thread in threads:
            if saver is not None:
                saver.delete_thread(thread)
        return [key for key in every_key(self.direct) if not _permanent(key)]

    def _keep(self, ended: dict[str, Any]) -> None:
        target = Path(self.settings.histories or ".")
        target.mkdir(parents=True, exist_ok=True)
        for path in self.folder.iterdir():
            shutil.copy(path, target / path.name)
        (target / "ledger.json").write_text(json.dumps(ended))

    def _forget(self) -> None:
        """Leave nothing in a namespace of a server that stays."""
        if self.server is None:
            # The broker's own as well.
            keys = keys_of(self.direct, self.namespace)
            if keys:
                self.direct.ledger.client.unlink(*keys)


def _permanent(key: str) -> bool:
    """What a namespace keeps for good, and beats, which go by themselves."""
    return key.partition("/g}:")[2].partition(":")[0] in ("meta", "graphs", "worker", "workers")
