"""The processes of a storm: workers that are replaced when they die, and submitters that are continued."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from distgraph.chaos.clients import Submission
from distgraph.chaos.history import Journal
from distgraph.cluster.processes import ChildProcess, WorkerProcess


class Crew:
    """The workers. A supervisor, as `distgraph up` is: who ends is replaced at once.

    Args:
        begin: starts one worker with the name it is given.
        size: how many there are.
        journal: the storm's history.
    """

    def __init__(self, begin: Callable[[str], WorkerProcess], size: int, journal: Journal) -> None:
        self.begin, self.journal = begin, journal
        self.made = 0
        self.stopped: list[tuple[float, WorkerProcess]] = []
        #: (worker, child it must not be any more, until when) to be struck again.
        self.again: list[tuple[WorkerProcess, int, float, bool]] = []
        self.workers = [self._start() for _ in range(size)]

    def _start(self) -> WorkerProcess:
        self.made += 1
        return self.begin(f"worker-{self.made}")

    # ------------------------------------------------------------- tending

    def tend(self) -> None:
        """Replace who has ended, wake whose time has come, strike who is to be struck again."""
        for place, worker in enumerate(self.workers):
            if not worker.alive:
                if worker.exit_code != -signal.SIGKILL:
                    tail = worker.log.read_text(errors="replace")[-500:]
                    self.journal.write("exit", "info", name=worker.name, code=worker.exit_code, text=tail)
                worker.kill_tree()
                self.workers[place] = self._start()
        now = time.monotonic()
        for due, worker in [one for one in self.stopped if one[0] <= now]:
            self.stopped.remove((due, worker))
            self.journal.write("wake", "ok", worker=worker.pid)
            worker.resume()
        for one in list(self.again):
            worker, old, until, whole = one
            fresh = [pid for pid in worker.children() if pid != old] if worker.alive else []
            if fresh:
                self.again.remove(one)
                self._kill_tree(worker, every=False) if whole else self._kill_child(worker, fresh[0])
            elif now > until and (self.kill_tree if whole else self.kill_child)(0, twice=False, every=False):
                # Nobody came after the first victim: as many die as planned, if not these.
                self.again.remove(one)

    def wake_all(self) -> None:
        """Let everybody go on who is stopped."""
        for _, worker in self.stopped:
            worker.resume()
        self.stopped.clear()

    def stop(self) -> None:
        """Drain all."""
        self.wake_all()
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.stop(10)

    def kill(self) -> None:
        """End all at once."""
        for worker in self.workers:
            worker.kill_tree()

    # ------------------------------------------------------------- strikes

    def free(self) -> list[WorkerProcess]:
        """Workers that run, have processes, and are not stopped."""
        asleep = {id(worker) for _, worker in self.stopped}
        return [w for w in self.workers if w.alive and id(w) not in asleep and w.children()]

    def kill_child(self, pick: int, *, twice: bool, every: bool) -> bool:
        """SIGKILL a process of a pool; False: there is none now."""
        # Asked once: who has children now may have none a moment later.
        victims = [(worker, pids[0]) for worker in self.free() if (pids := worker.children())]
        if not victims or (every and len(victims) < len(self.workers)):
            return False
        for worker, pid in victims if every else [victims[pick % len(victims)]]:
            self._kill_child(worker, pid)
            if twice:
                self.again.append((worker, pid, time.monotonic() + 5, False))
        return True

    def _kill_child(self, worker: WorkerProcess, pid: int) -> None:
        with suppress(ProcessLookupError):
            self.journal.write("kill", "invoke", kind="child", pids=[pid], worker=worker.pid)
            os.kill(pid, signal.SIGKILL)

    def kill_tree(self, pick: int, *, twice: bool, every: bool) -> bool:
        """SIGKILL a worker with all its processes; False: there is none now."""
        victims = self.free()
        if not victims or (every and len(victims) < len(self.workers)):
            return False
        for worker in victims if every else [victims[pick % len(victims)]]:
            place = self.workers.index(worker)
            self._kill_tree(worker, every=every)
            self.workers[place] = self._start()
            if twice:
                self.again.append((self.workers[place], 0, time.monotonic() + 20, True))
        return True

    def _kill_tree(self, worker: WorkerProcess, *, every: bool) -> None:
        pids = [worker.pid, *worker.children()]
        self.journal.write("kill", "invoke", kind="tree", pids=pids, worker=worker.pid, every=every)
        worker.kill_tree()

    def pause(self, pick: int, seconds: float) -> bool:
        """SIGSTOP a worker with all its processes; False: one has to be left."""
        victims = self.free()
        if len(victims) < 2:
            return False
        worker = victims[pick % len(victims)]
        pids = [worker.pid, *worker.children()]
        self.journal.write("stop", "invoke", kind="zombie", pids=pids, worker=worker.pid, seconds=seconds)
        worker.pause()
        self.stopped.append((time.monotonic() + seconds, worker))
        return True

    # ------------------------------------------------------------- looking

    def pids(self) -> list[int]:
        """Processes in which nodes run now."""
        return [pid for worker in self.workers if worker.alive for pid in worker.children() or [worker.pid]]

    def sample(self) -> dict[str, Any]:
        """Memory (kB) and open files of the workers' processes."""
        rss, fds = [], []
        for worker in self.workers:
            for pid in (worker.pid, *worker.children()) if worker.alive else ():
                with suppress(OSError, ValueError):
                    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                    fds.append(len(os.listdir(f"/proc/{pid}/fd")))  # noqa: PTH208 - names alone
                    rss.append(pages * 4)
        return {"rss": rss, "fds": fds}


class Submitters:
    """Submits batch after batch, a process each, while there is not too much to do; goes on with a call that was killed.

    Args:
        submissions: what is to be submitted, in order.
        folder: where the processes' output goes.
        journal: the storm's history.
    """

    def __init__(self, submissions: list[Submission], folder: Path, journal: Journal) -> None:
        self.left = list(submissions)
        self.folder, self.journal = folder, journal
        self.now: Submission | None = None
        self.process: ChildProcess | None = None
        self.submitted = 0
        self.began = 0.0

    @property
    def over(self) -> bool:
        """Everything is submitted."""
        return not self.left and self.now is None

    def tend(self, done: int, ahead: int) -> None:
        """Start the next one where less than ``ahead`` items of those submitted are not done; again, if it was killed."""
        if self.process is not None:
            if self.process.alive:
                return
            code, log = self.process.exit_code, self.process.log
            self.process.kill_tree()
            self.process = None
            if code == 0 and self.now is not None:
                self.submitted += self.now.count
                self.now = None
            elif code != -signal.SIGKILL:
                text = log.read_text(errors="replace")[-500:]
                self.journal.write("exit", "fail", name="submitter", code=code, text=text)
                raise RuntimeError(f"A submitter ended with code {code}:\n{text}")
        if self.now is None and self.left and self.submitted - done < ahead:
            self.now = self.left.pop(0)
        if self.now is not None:
            log = self.folder / f"submitter-{self.now.batch}.log"
            self.process = ChildProcess(f"submitter of {self.now.batch}", self.now.command(), log=log)
            self.began = time.monotonic()

    def kill(self, age: float) -> bool:
        """SIGKILL the one that works, if it has for ``age`` seconds; False: none has."""
        if self.process is None or self.now is None or not self.process.alive:
            return False
        if time.monotonic() - self.began < age:
            return False
        self.journal.write("kill", "invoke", kind="submitter", pids=[self.process.pid], batch=self.now.batch)
        self.process.kill()
        return True

    def end(self) -> None:
        """Kill what is left, for good."""
        if self.process is not None:
            self.process.kill_tree()
