"""Messages that nobody of ours sent: workers outlive them, and what was submitted is done all the same."""

from __future__ import annotations

import base64
import bz2
import json
import re
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distgraph.cluster.celery.envelope import NODE_TASK, RUN_TASK, render
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.cluster.hints import BatchHint, NodeHint, RunHint, queue_name
from distgraph.examples import chain
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

EMBED: dict[str, Any] = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
FP = chain.graph.fingerprint
PLAIN = RunHint("r-none", "t-none", "chain", FP)


def changed(**parts: Any) -> str:
    """A hint as it is sent, with other parts.

    Its Celery id is its own: a worker drops whatever has the id of a message that came too late, and does not look at it.
    """
    message = json.loads(render("default", PLAIN)[1])
    message["headers"].update({"id": uuid.uuid4().hex, **parts.pop("headers", {})})
    return json.dumps({**message, **parts})


def of(args: Any, kwargs: Any = None, embed: Any = None, task: str = RUN_TASK) -> str:
    body = base64.b64encode(json.dumps([args, kwargs or {}, embed or EMBED]).encode()).decode()
    return changed(body=body, headers={"task": task})


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


#: The numbers are those of the list of bad inputs.
MESSAGES: dict[str, str] = {
    "213 a body that is no JSON": changed(body=b64(b"\xff{not json")),
    "213 a body that is no base64": changed(body="*"),
    "214 a pickle": changed(body=b64(b"\x80\x04N."), **{"content-type": "application/x-python-serialize"}),
    "214 an unknown kind of content": changed(**{"content-type": "application/x-thing"}),
    "215 another task": of([], task="os.system"),
    "216 too few fields": of(["only"]),
    "216 too many fields": of([*PLAIN, 0, "x", "y", "z"]),
    "216 not a number": of([*PLAIN[:4], float("nan")]),
    "216 none": of([]),
    "216 no list": of({"a": 1}),
    "216 unknown names": of(list(PLAIN), {"more": 1}),
    "217 ids that are no texts": of([None, 3, "chain", FP]),
    "217 ids with signs": of(["a\n*{}|:\u0000", "\u0000", "chain", FP]),
    "217 lists for ids": of([["x"], {"y": 1}, "chain", FP]),
    "217 a node's without tasks": of(["r", "t", "chain", FP, 1, "head", [], "x", 1], task=NODE_TASK),
    "217 a head for an epoch": of(["r", "t", "chain", FP, "head", 1, [["task", "path"]], "x", 1], task=NODE_TASK),
    "218 a run that is not there": render("default", PLAIN)[1],
    "218 a batch that is not there": render("default", BatchHint("b-none", "chain", FP))[1],
    "218 a graph that nobody serves": render("default", RunHint("r", "t", "nothing", "0" * 64, 19))[1],
    "221 a newer version": of(list(PLAIN), {"v": 99, "rounds": 19}),
    "221 a version that is no number": of(list(PLAIN), {"v": "x", "rounds": 19}),
    "221 rounds that are no number": of(list(PLAIN), {"v": 99, "rounds": "x"}),
    "224 callbacks": of(list(PLAIN), None, {**EMBED, "callbacks": [{"task": "os.system", "args": ["true"]}]}),
    "224 a chain": of(list(PLAIN), None, {**EMBED, "chain": [{"task": "os.system", "args": ["true"]}]}),
    "225 a time long ago": changed(headers={"expires": "2001-01-01T00:00:00+00:00"}),
    "225 a time that is none": changed(headers={"eta": "soon", "expires": "later"}),
    "227 another namespace": render("elsewhere", PLAIN)[1],
    "228 compressed": changed(body=b64(zlib.compress(b"[]")), headers={"compression": "application/x-gzip"}),
    "228 compressed in another way": changed(
        body=b64(bz2.compress(b"[]")), headers={"compression": "application/x-bz2"}
    ),
    "228 compressed in no known way": changed(headers={"compression": "application/x-thing"}),
    "228 base64 of base64": changed(body=b64(b64(b"[[], {}, {}]").encode())),
}


def works(cluster: EmbeddedCluster) -> None:
    """Both workers are there, and do what is submitted."""
    assert cluster.bind(chain.graph).submit({"text": "It rained."}).result(timeout=30)["words"] == 2
    assert [process.alive for process in cluster.processes] == [True] * len(cluster.processes)


def logged(cluster: EmbeddedCluster) -> int:
    """Bytes that the workers have written to their logs."""
    return sum(process.log.stat().st_size for process in cluster.processes)


def pushed(cluster: EmbeddedCluster, *messages: str) -> Callable[[], bool]:
    """Send messages; whether the queue is empty again."""
    queue, client = queue_name(cluster.namespace), cluster.ledger.client
    client.lpush(queue, *messages)
    return lambda: client.llen(queue) == 0


@pytest.mark.parametrize("case", MESSAGES)
def test_a_worker_outlives_it(cluster: EmbeddedCluster, case: str) -> None:
    wait_until(pushed(cluster, MESSAGES[case]), 20)
    works(cluster)


def test_223_a_large_one(cluster: EmbeddedCluster) -> None:
    """It is handed on once, not twenty times into the tests that come after this one; and logs do not repeat it."""
    seen, written = cluster.unknown_hints(), logged(cluster)
    wait_until(pushed(cluster, of(["x" * (10 << 20)], {"rounds": 19})), 20)
    works(cluster)
    wait_until(lambda: cluster.unknown_hints() >= seen + 2, 30)
    assert logged(cluster) - written < 1 << 20


def test_228_a_bomb_is_not_unfolded(cluster: EmbeddedCluster) -> None:
    """Half a megabyte that would be half a gigabyte in the memory of the worker's parent process."""
    bomb = changed(body=b64(zlib.compress(bytes(1 << 29))), headers={"compression": "application/x-gzip"})
    wait_until(pushed(cluster, bomb, bomb), 20)
    works(cluster)
    peaks = [Path(f"/proc/{process.pid}/status").read_text() for process in cluster.processes]
    assert all(int(re.findall(r"VmHWM:\s+(\d+) kB", peak)[0]) < 384 << 10 for peak in peaks)


def test_226_very_many(cluster: EmbeddedCluster) -> None:
    gone = pushed(cluster, *[of(["only"], {"rounds": 20})] * 300)
    works(cluster)
    wait_until(gone, 60)


def test_219_220_an_epoch_or_step_that_is_not_the_runs(cluster: EmbeddedCluster) -> None:
    run = cluster.bind(chain.graph).submit({"text": "It rained."})
    before = run.result(timeout=30)
    record = cluster.ledger.runs.record(run._address)
    head = (cluster.ledger.runs.read_line(run.thread_id, ["head"])[0] or b"").decode()
    hints = [
        NodeHint(run.run_id, run.thread_id, "chain", FP, epoch, head, (("task", ("x", 1)),), "split", 1)
        for epoch in (0, 999, int(record["epoch"]))
    ]
    wait_until(pushed(cluster, *(render(cluster.namespace, hint)[1] for hint in hints)), 20)
    works(cluster)
    assert (run.status(), run.result(timeout=1)) == ("done", before)
