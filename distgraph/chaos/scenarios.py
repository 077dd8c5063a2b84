"""What is run to pass a point, and what must be true afterwards whatever struck. ``WAYS`` says which scenario passes which.

A scenario brings work to where the point comes next, arms the fault, lets the work go on, and checks: results equal those
of one process, each superstep was applied once, nothing is owed or held, no key is left, no crash was counted that was not.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from distgraph.chaos.fault import KILL_SERVER, Fault
from distgraph.chaos.rest import crashes, keys_of, settle, unrest
from distgraph.chaos.stand import PATIENCE, Broken, Refused, Stand
from distgraph.chaos.submitter import bound
from distgraph.examples import sums
from distgraph.ledger.replies import Address
from distgraph.superstep.lifecycle import AT_REST


class Trial:
    """One fault on the stand."""

    def __init__(self, stand: Stand, fault: Fault, role: str) -> None:
        self.stand, self.fault, self.role = stand, fault, role
        self.name = f"t{stand.prepare(fault)}x"
        #: Crashes that may be counted: one for the fault unless it only took the server away.
        self.allowed = 0 if fault.what == KILL_SERVER else 1
        folder = stand.cluster.directory
        self.gate, self.log = folder / f"{self.name}.gate", folder / f"{self.name}.log"

    def arm(self) -> None:
        self.stand.arm(self.role)

    def ask(self, do: str, **told: Any) -> Any:
        return self.stand.ask(do, **told)

    def expect(self, found: Any, wanted: Any, what: str) -> None:
        if found != wanted:
            raise Broken(f"{what}: found {found!r}, expected {wanted!r}.{self.stand.logs()}")

    # ------------------------------------------------------------- runs

    @property
    def run_id(self) -> str:
        return f"{self.name}-run"

    @property
    def thread_id(self) -> str:
        return f"{self.name}-thread"

    def submit(self, graph: str, given: Any, placement: str = "auto", *, hint: bool = True) -> None:
        self.ask(
            "submit",
            graph=graph,
            given=given,
            run_id=self.run_id,
            thread_id=self.thread_id,
            placement=placement,
            hint=hint,
        )

    def result(self) -> Any:
        """The run's output, when it has come to rest."""
        return self.stand.eventually(lambda: self.stand.cluster.run(self.run_id).result(PATIENCE))

    def status(self) -> str:
        return self.stand.eventually(lambda: str(self.stand.cluster.run(self.run_id).status()))

    def at_rest(self) -> str:
        """The run's status, once it has come to rest."""
        self.stand.wait_for(lambda: self.status() in AT_REST, f"run {self.run_id} is at rest")
        return self.status()

    def end_run(self, graph: str) -> None:
        """Check the run's line of checkpoints, delete it, and see that nothing is left."""
        cluster = self.stand.cluster
        where: Any = {"configurable": {"thread_id": self.thread_id}}
        history = self.stand.eventually(lambda: list(bound(cluster, graph).get_state_history(where)))
        steps = [snapshot.metadata["step"] for snapshot in history]
        if steps:
            self.expect(steps, list(range(steps[0], steps[-1] - 1, -1)), "the supersteps in the thread's history")
        ids = [snapshot.config["configurable"]["checkpoint_id"] for snapshot in history]
        parents = [s.parent_config and s.parent_config["configurable"]["checkpoint_id"] for s in history]
        self.expect(parents[:-1], ids[1:], "each checkpoint's parent")
        self.calm()
        cluster.ledger.runs.delete(Address(self.run_id, self.thread_id))
        saver: Any = cluster.saver(cluster.codec())
        with saver:
            saver.delete_thread(self.thread_id)
        self.expect(keys_of(cluster, self.name), [], "keys that are left of a run that was deleted")

    # ------------------------------------------------------------- batches

    @property
    def batch_id(self) -> str:
        return f"{self.name}-batch"

    def end_batch(self, wanted: list[Any], pick: Callable[[Any], Any] = lambda value: value) -> None:
        """Check the batch's results, delete it, and see that nothing is left."""
        cluster = self.stand.cluster
        batch = self.stand.eventually(lambda: cluster.batch(self.batch_id))
        status = self.stand.eventually(lambda: batch.wait(PATIENCE))
        results = self.stand.eventually(lambda: list(batch.results()))
        self.expect([r.error for r in results if r.status != "done"], [], "errors of items")
        self.expect([pick(result.value) for result in results], wanted, "results of items")
        self.expect((status.total, status.done, status.failed), (len(wanted), len(wanted), 0), "items of the batch")
        counted = self.stand.eventually(lambda: sum(crashes(cluster, self.batch_id).values()))
        if counted > self.allowed:
            raise Broken(f"{counted} crashes are counted, at most {self.allowed} happened.")
        self.calm()
        self.delete_batch()

    def delete_batch(self) -> None:
        try:
            self.ask("steer", batch_id=self.batch_id, what="delete")
        except Refused as error:
            # It was deleted before the submitter died.
            self.expect((error.args[0], self.stand.struck), ("BatchNotFoundError", True), "deleting the batch")
        self.expect(keys_of(self.stand.cluster, self.name), [], "keys that are left of a batch that was deleted")

    # ------------------------------------------------------------- both

    def calm(self) -> None:
        """Nothing is owed or held, once the fault has struck and is healed."""
        self.stand.wait_for(lambda: self.stand.struck, f"{self.fault} has struck", 10)
        self.stand.disarm()
        self.stand.wait_whole()
        self.expect(settle(lambda: unrest(self.stand.cluster), 10), [], "what is owed or held at the end")

    def await_node(self) -> int:
        """Wait until a gated node runs; the process it runs in."""
        self.stand.wait_for(self.log.exists, "the gated node runs")
        self.stand.wait_for(lambda: self.log.read_text().endswith("\n"), "the gated node has said where it runs")
        return int(self.log.read_text().split()[0])

    def gated(self) -> dict[str, str]:
        return {"file": str(self.gate), "log": str(self.log)}


GATED = ["first", "wait", "last"]
#: How long the napping run sleeps. Seconds.
NAP = 0.4


def items(trial: Trial, placement: str = "auto", count: int = 12) -> None:
    """A batch that workers take slices of."""
    given: Any = sums.items(count, width=2, rounds=2)
    trial.arm()
    trial.ask("submit_batch", graph="sums", items=given, batch_id=trial.batch_id, placement=placement)
    trial.end_batch([sums.expected(item) for item in given])


def spread_items(trial: Trial) -> None:
    """A batch whose tasks are all messages of their own."""
    items(trial, "spread", 3)


def run(trial: Trial, placement: str = "auto", delay_ms: int = 0) -> None:
    """One run on a thread of another name."""
    item: Any = {"index": 3, "width": 3, "rounds": 2, "delay_ms": delay_ms}
    trial.arm()
    trial.submit("sums", item, placement)
    trial.expect(trial.result(), sums.expected(item), "the run's result")
    trial.end_run("sums")


def spread_run(trial: Trial) -> None:
    """One run whose tasks are all messages of their own."""
    run(trial, "spread")


def long_run(trial: Trial) -> None:
    """One run that takes longer than a driver may work for one hint."""
    run(trial, "local", 75)


def unhinted_run(trial: Trial) -> None:
    """A run whose submitter died before it sent a hint: a sweep finds it."""
    trial.arm()
    trial.submit("sums", {"index": 1}, hint=False)
    trial.expect(trial.result(), sums.expected({"index": 1}), "the run's result")
    trial.end_run("sums")


def retried_run(trial: Trial) -> None:
    """A node fails and waits for its next attempt."""
    trial.arm()
    trial.submit("flaky", {"index": 1, "failures": 1})
    stored = trial.result()["stored"]
    if stored not in ("page 1, attempt 2", "page 1, attempt 3"):
        raise Broken(f"The node's page is {stored!r}.")
    trial.end_run("flaky")


def asked_run(trial: Trial) -> None:
    """A run asks a person and is answered."""
    trial.submit("human_review", {"topic": "rain"})
    trial.expect(trial.at_rest(), "interrupted", "the run's status before the answer")
    trial.arm()
    try:
        trial.ask("resume", graph="human_review", run_id=trial.run_id, value={"approved": True})
    except Refused as error:
        # It was answered before the submitter died.
        trial.expect((error.args[0], trial.stand.struck), ("AlreadyResumedError", True), "answering again")
    trial.stand.wait_for(lambda: trial.status() != "interrupted", "the answer was taken")
    trial.expect(trial.result()["published"], "About rain", "what was published")
    trial.end_run("human_review")


def cancelled_run(trial: Trial) -> None:
    """A run is cancelled while its node runs: nothing of it is applied any more."""
    trial.submit("chaos-gated", trial.gated())
    trial.await_node()
    trial.arm()
    trial.ask("cancel", run_id=trial.run_id)
    trial.gate.touch()
    trial.expect(trial.at_rest(), "cancelled", "the run's status")
    trial.calm()
    where: Any = {"configurable": {"thread_id": trial.thread_id}}
    values = trial.stand.eventually(lambda: bound(trial.stand.cluster, "chaos-gated").get_state(where).values)
    trial.expect(values["steps"], ["first"], "what was applied before")
    trial.end_run("chaos-gated")


def paying_run(trial: Trial) -> None:
    """A node records an effect. It is repeated only if nobody could know of it."""
    trial.arm()
    trial.submit("chaos-paying", {"log": str(trial.log)})
    trial.expect(trial.result()["steps"], ["receipt"], "the effect's result")
    charged = len(trial.log.read_text().splitlines())
    if charged > 1 + (trial.fault.moment == "before"):
        raise Broken(f"The effect was repeated: {charged} times in all.")
    trial.end_run("chaos-paying")


def napping_run(trial: Trial) -> None:
    """A node sleeps: its run wakes on time, and sleeps once, whatever strikes."""
    trial.arm()
    began = time.time()
    trial.submit("chaos-napping", {"log": str(trial.log), "seconds": NAP})
    trial.expect(trial.result()["steps"], ["nap"], "the run's result")
    woke = [float(line) - began for line in trial.log.read_text().splitlines()]
    if min(woke) < NAP:
        raise Broken(f"The run was to sleep {NAP} s, and woke after {min(woke):.3f} s.")
    trial.end_run("chaos-napping")


def nesting_run(trial: Trial) -> None:
    """A node is a graph: its checkpoints are stored, and gone with the thread."""
    trial.arm()
    trial.submit("chaos-nesting", {"file": trial.name})
    trial.expect(trial.result()["steps"], ["first", "middle", "last"], "the run's result")
    trial.end_run("chaos-nesting")


def keeping_run(trial: Trial) -> None:
    """A node puts an item into the store, reads and deletes it; its result is cached."""
    trial.arm()
    trial.submit("chaos-keeping", {"file": trial.name})
    trial.expect(trial.result()["steps"], ["kept"], "what the node found")
    trial.end_run("chaos-keeping")


def forgetting_user(trial: Trial) -> None:
    """Cached results are forgotten."""
    trial.submit("chaos-keeping", {"file": trial.name})
    trial.expect(trial.result()["steps"], ["kept"], "what the node found")
    trial.arm()
    trial.ask("clear_cache", graph="chaos-keeping")
    trial.end_run("chaos-keeping")


def fallen_run(trial: Trial) -> None:
    """A process dies while it drives a run, and its worker takes the lease away."""
    trial.allowed += 1
    trial.submit("chaos-gated", trial.gated())
    _fall(trial)
    trial.expect(trial.result()["steps"], GATED, "the run's result")
    trial.end_run("chaos-gated")


def fallen_flow(trial: Trial) -> None:
    """A process dies while it runs a workflow; the next attempt gets on, and the crash counts no more."""
    trial.allowed += 1
    trial.submit("chaos_flow", trial.gated())
    _fall(trial)
    trial.expect(trial.result(), GATED, "the run's result")
    trial.end_run("chaos_flow")


def fallen_items(trial: Trial) -> None:
    """A process dies while it works at a slice, and its worker hands the items back."""
    trial.allowed += 1
    trial.ask("submit_batch", graph="chaos-gated", items=[trial.gated()] * 4, batch_id=trial.batch_id)
    _fall(trial)
    trial.end_batch([GATED] * 4, lambda value: value["steps"])


def _fall(trial: Trial) -> None:
    pid = trial.await_node()
    trial.arm()
    os.kill(pid, signal.SIGKILL)
    trial.gate.touch()


def drained_items(trial: Trial) -> None:
    """A worker is told to stop while it works at a slice, and hands back what it has not begun."""
    trial.ask("submit_batch", graph="chaos-gated", items=[trial.gated()] * 4, batch_id=trial.batch_id)
    pid = trial.await_node()
    trial.arm()
    told = next(process for process in trial.stand.living if pid in process.children())
    told.terminate()
    trial.stand.wait_for(lambda: "shutdown" in told.log.read_text() or trial.stand.struck, "the worker stops")
    trial.gate.touch()
    trial.end_batch([GATED] * 4, lambda value: value["steps"])


def restarted_worker(trial: Trial) -> None:
    """A worker goes, and the one that comes in its place introduces itself."""
    trial.arm()
    trial.stand.living[0].terminate()
    trial.stand.wait_for(lambda: trial.stand.struck, f"{trial.fault} has struck")
    items(trial)


def failed_items(trial: Trial) -> None:
    """Items that failed are tried again."""
    given = [{"file": str(trial.gate)}] * 3
    trial.ask("submit_batch", graph="chaos-needing", items=given, batch_id=trial.batch_id)
    batch = trial.stand.cluster.batch(trial.batch_id)
    trial.expect(trial.stand.eventually(lambda: batch.wait(PATIENCE)).failed, 3, "items that failed at first")
    trial.gate.touch()
    trial.arm()
    trial.ask("steer", batch_id=trial.batch_id, what="retry_failed")
    trial.end_batch([["need"]] * 3, lambda value: value["steps"])


def steered_items(trial: Trial) -> None:
    """A batch is paused, goes on, and is cancelled."""
    given = [trial.gated()] * 8
    trial.ask("submit_batch", graph="chaos-gated", items=given, batch_id=trial.batch_id)
    trial.await_node()
    trial.arm()
    for what in ("pause", "unpause", "cancel"):
        trial.ask("steer", batch_id=trial.batch_id, what=what)
    trial.gate.touch()
    batch = trial.stand.cluster.batch(trial.batch_id)
    status = trial.stand.eventually(lambda: batch.wait(PATIENCE))
    trial.expect((status.total, status.done + status.cancelled), (8, 8), "items of the cancelled batch")
    trial.calm()
    trial.expect(trial.stand.eventually(batch.status).done, status.done, "items that were done when it was cancelled")
    trial.delete_batch()


def deleted_items(trial: Trial) -> None:
    """A batch is deleted that is at rest."""
    given: Any = sums.items(2, width=1, rounds=1)
    trial.ask("submit_batch", graph="sums", items=given, batch_id=trial.batch_id)
    trial.stand.eventually(lambda: trial.stand.cluster.batch(trial.batch_id).wait(PATIENCE))
    trial.arm()
    trial.delete_batch()
    trial.calm()


def expired_items(trial: Trial) -> None:
    """A batch is over as soon as it is at rest: a worker deletes it, and another one if that dies."""
    cluster, given = trial.stand.cluster, sums.items(2, width=1, rounds=1)
    trial.arm()
    trial.ask("submit_batch", graph="sums", items=given, batch_id=trial.batch_id, retention=0)
    gone = cluster.ledger.keys.shared("gone", trial.batch_id)
    trial.stand.wait_for(
        lambda: keys_of(cluster, trial.name) == [gone], "nothing is left of the batch but that it was", 60
    )
    trial.calm()


def changed_thread(trial: Trial) -> None:
    """A thread's state is changed and read by hand, its old checkpoints go, then the thread is deleted."""
    trial.submit("human_review", {"topic": "rain"})
    trial.expect(trial.at_rest(), "interrupted", "the run's status")
    trial.ask("resume", graph="human_review", run_id=trial.run_id, value={"approved": True})
    trial.result()
    told = {"graph": "human_review", "thread_id": trial.thread_id}
    trial.arm()
    trial.ask("update_state", **told, values={"topic": "snow"})
    values = trial.ask("get_state", **told)
    trial.expect((values["topic"], values["published"]), ("snow", "About rain"), "the state that was changed")
    trial.ask("prune", thread_id=trial.thread_id)
    trial.expect(
        trial.stand.eventually(lambda: trial.ask("get_state", **told)), values, "the state, older ones being gone"
    )
    trial.ask("drop_thread", thread_id=trial.thread_id)
    trial.calm()
    trial.end_run("human_review")


def deleted_run(trial: Trial) -> None:
    """A run on a thread of its own is deleted: nothing of it is left."""
    told: Any = {"graph": "human_review", "given": {"topic": "rain"}, "placement": "auto", "hint": True}
    trial.ask("submit", run_id=trial.run_id, thread_id=trial.run_id, **told)
    trial.at_rest()
    trial.ask("cancel", run_id=trial.run_id)
    trial.arm()
    try:
        trial.ask("delete", run_id=trial.run_id)
    except Refused as error:
        # It was deleted before the submitter died.
        trial.expect((error.args[0], trial.stand.struck), ("RunNotFoundError", True), "deleting the run")
    trial.calm()
    trial.expect(keys_of(trial.stand.cluster, trial.name), [], "keys that are left of a run that was deleted")


def ghost(trial: Trial) -> None:
    """An entry of the due index stands for nothing, and one of the list of threads: whoever sweeps drops them."""
    cluster = trial.stand.cluster
    trial.arm()
    cluster.ledger.lines.note_age(trial.run_id, 0)
    cluster.ledger.client.zadd(cluster.ledger.keys.due(3), {f"r:{trial.run_id}": 0})
    trial.calm()


class Way(NamedTuple):
    """How a point is passed: by which role of process, in which scenario, and how often at least."""

    scenario: Callable[[Trial], None]
    role: str
    times: int = 1


def _worker(scenario: Callable[[Trial], None], times: int = 1) -> Way:
    return Way(scenario, "worker", times)


def _client(scenario: Callable[[Trial], None], times: int = 1) -> Way:
    return Way(scenario, "client", times)


#: Point -> the ways to pass it. Every script of ``ledger/lua`` has one: a test sees to that.
WAYS: dict[str, tuple[Way, ...]] = {
    "asleep": (_worker(napping_run),),
    "batch_add": (_client(items),),
    "batch_commit": (_worker(items, 3),),
    "batch_control": (_client(steered_items, 3),),
    "batch_got_on": (_worker(fallen_items),),
    "batch_life": (_worker(expired_items), _client(deleted_items)),
    "batch_retry": (_client(failed_items),),
    "batch_return": (_worker(fallen_items), _worker(drained_items)),
    "batch_take": (_worker(items, 2),),
    "claim_run": (_worker(run), _worker(spread_run, 2)),
    "claim_task": (_worker(spread_run, 4), _worker(spread_items, 4)),
    "commit": (_worker(run, 4), _worker(spread_items, 3)),
    "control": (_client(asked_run), _client(cancelled_run)),
    "cut": (_client(changed_thread),),
    "drop_thread": (_client(changed_thread),),
    "drop_run": (_client(deleted_run),),
    "forget": (_worker(ghost),),
    "got_on": (_worker(fallen_flow),),
    "hold": (_worker(nesting_run),),
    "hinted": (_worker(unhinted_run),),
    "item_drop": (_worker(keeping_run),),
    "item_put": (_worker(keeping_run),),
    "item_touch": (_worker(keeping_run),),
    "kept_drop": (_client(forgetting_user),),
    "kept_put": (_worker(keeping_run),),
    "looked_at": (_worker(ghost),),
    "look": (_client(changed_thread), _worker(nesting_run)),
    "offer": (_worker(spread_run, 2),),
    "put": (_client(changed_thread), _worker(nesting_run, 3)),
    "reclaim": (_worker(fallen_run),),
    "release_run": (_worker(long_run),),
    "reserve": (_client(run),),
    "retry_task": (_worker(retried_run),),
    "settle": (_worker(spread_run, 6), _worker(spread_items, 6)),
    "sleep_task": (_worker(napping_run),),
    "slept": (_worker(napping_run, 2),),
    "submit": (_client(run),),
    "sweep": (_worker(items, 3),),
    "tell_start": (_worker(asked_run),),
    "manifest": (_client(items),),
    "seal": (_client(items),),
    "publish": (_client(items), _worker(spread_run, 3)),
    "beat": (_worker(items),),
    "leave": (_worker(drained_items),),
    "serve": (_worker(restarted_worker),),
    "effect": (_worker(paying_run),),
    "pop": (_worker(items, 2),),
    "delivery": (_worker(items, 2),),
    "load": (_worker(spread_run, 2),),
    "node": (_worker(items, 9), _worker(spread_run, 4)),
    "reduce": (_worker(items, 9),),
    "encode": (_worker(items, 9),),
    "drain": (_worker(drained_items),),
    "delete": (_client(deleted_items), _worker(expired_items)),
}
