"""Makes the Celery application of a worker: a few tasks, and a boot step that watches."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from functools import partial
from typing import Any

from celery import Celery, bootsteps, signals
from kombu import Exchange, Queue

from distgraph.cluster import companion
from distgraph.cluster.celery.config import settings
from distgraph.cluster.celery.envelope import KINDS, going_round, understood
from distgraph.cluster.celery.pool import end, leave_at_once, let_children_go
from distgraph.cluster.celery.pops import mark_pops
from distgraph.cluster.celery.site import Site, SiteOptions
from distgraph.cluster.celery.surroundings import (
    Streams,
    check_machine,
    check_packages,
    refuse_compressed,
    warn_of_root,
)
from distgraph.cluster.deliver import deliver
from distgraph.cluster.hints import BatchHint, queue_name
from distgraph.cluster.liveness import died_here, kin
from distgraph.cluster.recover import Sweeper
from distgraph.cluster.watcher import BROKEN, Watcher
from distgraph.ledger import seam
from distgraph.ledger.connection import check_server

log = logging.getLogger(__name__)

#: How often workers were sent hints they did not understand, as the fleet counts it.
UNKNOWN_HINTS = "unknown_hints"
#: How often the processes of the pool are looked at: each of them that has died is a slot that does not work. Seconds.
REFILL_SECONDS = 0.025
#: How long a fork waits for the watcher to come to rest, which may wait for a server. Seconds.
FORK_SECONDS = 1.0
#: How long a worker may take to end once its time to drain is over and its processes were killed. Seconds.
END_SECONDS = 5.0


def make_app(options: SiteOptions, overrides: dict[str, Any] | None = None) -> Celery:
    """The application of a worker that serves ``options.graphs``.

    Raises:
        ConfigError: the graphs cannot be loaded, or a package that is needed has another version.
    """
    check_packages()
    site = Site(options)
    app = Celery("distgraph", set_as_current=True, log=Streams, events="distgraph.cluster.celery.consumer:Events")
    refuse_compressed()
    app.conf.update(settings(options.broker_url or options.url, options.namespace))
    if options.queues:
        names = [queue_name(options.namespace, queue) for queue in options.queues]
        app.conf.task_queues = [
            *app.conf.task_queues,
            *(Queue(name, Exchange(""), routing_key=name) for name in names),
        ]
    if options.max_memory:
        # A process that has grown is replaced before it holds so much that the node it happens to run is to blame. KiB.
        app.conf.worker_max_memory_per_child = options.max_memory * 1024 * 4 // 5
    app.conf.update(overrides or {})
    _add_tasks(app, site)
    let_children_go()
    if seam.nemesis is not None:
        mark_pops([queue.name for queue in app.conf.task_queues])
    app.steps["worker"].add(_watch_step(site))
    signals.after_setup_logger.connect(lambda **_: _quieten(), weak=False)
    signals.worker_process_init.connect(lambda **_: _begin_process(site), weak=False)
    signals.worker_shutting_down.connect(lambda **_: site.drain(), weak=False)
    return app


def _begin_process(site: Site) -> None:
    site.workplace()
    leave_at_once()


def _quieten() -> None:
    """Two lines a message, at 20,000 steps a second, say nothing and cost a fifth of the throughput."""
    for name in ("celery.app.trace", "celery.worker.strategy"):
        if logging.getLogger().level > logging.DEBUG:
            logging.getLogger(name).setLevel(logging.WARNING)


def _add_tasks(app: Celery, site: Site) -> None:
    def work(task: Any, *args: Any, **more: Any) -> None:
        hint = understood(task.name, args, more)
        if hint is not None:
            _work(site, hint)
        else:
            _hand_on(site, task, args, more)

    for name in KINDS:
        app.task(work, name=name, bind=True, typing=False)


def _hand_on(site: Site, task: Any, args: Any, more: Any) -> None:
    """A hint of a newer release, say: it is counted, and goes back to its queue for workers that understand it."""
    # It comes again and again, and may be of any size.
    log.warning("a hint for %s is not understood by this version of distgraph: %.500s", task.name, f"{args} {more}")
    ledger = site.ledger("odd")
    try:
        ledger.fleet.count(UNKNOWN_HINTS)
    finally:
        ledger.close()
    queue = (task.request.delivery_info or {}).get("routing_key") or queue_name(site.options.namespace)
    message = going_round(queue, task.name, args, more)
    if message is not None:
        dispatcher: Any = site.workplace().dispatcher
        dispatcher.send([message])


def _work(site: Site, hint: Any) -> None:
    place = site.workplace()
    mark: Any = place.watch
    place.take_over()
    mark.hold(f"b:{hint[0]}" if isinstance(hint, BatchHint) else f"h:{hint[0]}\n{hint[1]}")
    seam.reach("delivery", "before")
    try:
        deliver(place, hint, lambda: time.sleep(0.2))
        seam.reach("delivery", "after")
    except Exception:
        if site.options.pool == "prefork":
            _give_up_process(hint)
        raise
    finally:
        place.hand_over()
        mark.hold("")


def _give_up_process(hint: Any) -> None:
    """End this process, for nodes may have broken it: what comes next gets a new one.

    Its row says what it held, should it have been unable to let go of that: that is a crash, and does not come again for ever.
    """
    try:
        log.exception("%s: its driver failed; this process of the pool ends, and another one takes its place", hint[0])
    finally:
        os._exit(BROKEN)


def _watch_step(site: Site) -> type[bootsteps.StartStopStep]:
    class Watch(bootsteps.StartStopStep):  # type: ignore[misc]
        """Watches the worker's slots from when its pool stands to when it has ended."""

        requires = ("celery.worker.components:Pool",)

        def __init__(self, parent: Any, **kwargs: Any) -> None:
            super().__init__(parent, **kwargs)
            self.pool = {"thread": "threads"}.get(name := parent.pool_cls.__module__.rpartition(".")[2], name)
            check_machine(self.pool, int(parent.concurrency or 1))
            self.companion: subprocess.Popen[bytes] | None = None
            self.watcher: Watcher | None = None
            #: Exit codes of processes of the pool that have ended, by process id.
            self.codes: dict[int, int] = {}
            self.patience: threading.Thread | None = None
            #: The watcher rests, for this process forks.
            self.held = False

        def start(self, parent: Any) -> None:
            ledger = site.ledger("watcher")
            check_server(ledger.client, where=site.options.url)
            ledger.scripts.load()
            ledger.fleet.join()
            ledger.fleet.serve(site.registry.about())
            warn_of_root()
            about = {
                "name": site.options.name or parent.hostname,
                "host": site.host,
                "pid": os.getpid(),
                "pool": self.pool,
                "concurrency": int(parent.concurrency or 1),
                "graphs": site.registry.names(),
                "queues": [queue_name(site.options.namespace), *site.options.queues],
                "kin": kin(),
                "unstoppable": site.unstoppable(self.pool),
            }
            own = self.pool == "prefork"
            sweeper = Sweeper(
                ledger.runs,
                ledger.batches,
                ledger.fleet,
                ledger.lines,
                site.registry,
                site.dispatcher(),
                time.monotonic,
                died_here,
            )
            self.watcher = Watcher(
                ledger.fleet,
                sweeper,
                site.table,
                site.boot,
                about,
                beats=own,
                know=site.know_fleet,
                exit_of=self._exit_of,
                cancel_seconds=site.options.cancel_seconds,
                max_memory=site.options.max_memory << 20,
            )
            if own:
                before = partial(self._before_fork, parent.pool)
                os.register_at_fork(before=before, after_in_parent=self._forked, after_in_child=self._in_child)
            else:
                self.companion = companion.start(site.table, site.options.url, site.options.namespace, site.boot, about)
            self.watcher.start()
            signals.worker_shutting_down.connect(self._be_patient, weak=False)
            # Sent after the pool has finished what it ran: only then is the worker gone.
            signals.worker_shutdown.connect(self._end, weak=False)

        def register_with_event_loop(self, parent: Any, hub: Any) -> None:
            """Where a dead child is noticed first: the pool itself sometimes looks only every five seconds."""
            hub.call_repeatedly(REFILL_SECONDS, self._refill, parent.pool)

        def _exit_of(self, pid: int) -> int | None:
            for _ in range(30):
                code = self.codes.get(pid)
                if code is not None:
                    return code
                time.sleep(0.01)  # whoever minds the pool has not come by yet
            return None

        def _before_fork(self, pool: Any) -> None:
            """Let the watcher come to rest; it may be waiting to be told what a process that has just ended died of."""
            until = time.monotonic() + FORK_SECONDS
            while self.watcher is not None and not self.held and time.monotonic() < until:
                self._look_at(pool)
                self.held = self.watcher.hold(0.02)

        def _forked(self) -> None:
            if self.watcher is not None and self.held:
                self.held = False
                self.watcher.let_go()

        def _in_child(self) -> None:
            self.watcher = None  # it is the parent's, and no fork of this process waits for it

        def _note_codes(self, processes: Any) -> None:
            """Have the pool leave the exit codes of its processes here, as it collects them."""
            then = processes.on_process_down
            if getattr(then, "notes", False):
                return

            def note(child: Any) -> None:
                self.codes[child.pid] = child.exitcode
                if then:
                    then(child)

            note.notes = True  # type: ignore[attr-defined]
            processes.on_process_down = note

        def _look_for_dead(self, children: Any) -> None:
            """What a dead process held is given back before its successor is made: a fork holds up this whole process."""
            for child in children:
                if child.pid not in self.codes and child.exitcode is not None:
                    self.codes[child.pid] = child.exitcode
                    if self.watcher is not None:
                        self.watcher.look_now()

        def _look_at(self, pool: Any) -> None:
            if hasattr(getattr(pool, "_pool", None), "on_process_down"):
                self._note_codes(pool._pool)
                self._look_for_dead(pool._pool._pool)

        def _refill(self, pool: Any) -> None:
            self._look_at(pool)
            if self.watcher is not None and self.watcher.lost:
                self.watcher.lost = False
                pool.maintain_pool()

        def stop(self, parent: Any) -> None:
            site.drain()
            self._be_patient()
            if self.pool == "prefork":
                end(parent.pool)

        def _be_patient(self, **_: Any) -> None:
            """Celery waits without limit, for what runs and for a server that is silent; an operator's patience ends."""
            if self.patience is None:
                self.patience = threading.Thread(target=self._end_in_time, name="distgraph-patience", daemon=True)
                self.patience.start()

        def _end_in_time(self) -> None:
            time.sleep(site.options.drain_seconds)
            watcher = self.watcher
            if watcher is None:
                return
            try:
                watcher.abandon()
                # The OS threads of a pool cannot be ended one by one; processes were killed, and their parent ends.
                time.sleep(END_SECONDS if watcher.beats else 0)
                log.warning("the worker has not ended by itself in time, and ends now")
                self._end()
            finally:
                logging.shutdown()
                os._exit(0)

        def terminate(self, parent: Any) -> None:
            self._end()

        def _end(self, **_: Any) -> None:
            watcher, self.watcher = self.watcher, None
            if watcher is not None:
                watcher.stop()
            if self.companion is not None and self.companion.stdin is not None:
                self.companion.stdin.close()
                self.companion.wait(5)
                self.companion = None

    return Watch
