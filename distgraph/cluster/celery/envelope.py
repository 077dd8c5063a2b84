"""A hint as the bytes Celery puts on its queue: message protocol 2 in Kombu's JSON envelope.

Rendering it here costs about 15 us; publishing through ``apply_async`` costs 300. A test holds it against what ``apply_async``
writes, so that a change of the format is seen when Celery is upgraded, not in production.
"""

from __future__ import annotations

import base64
import json
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from distgraph.cluster.hints import BatchHint, CallHint, Hint, NodeHint, RunHint, queue_name
from distgraph.ledger.keys import split_item

RUN_TASK = "distgraph.run"
NODE_TASK = "distgraph.node"
CALL_TASK = "distgraph.call"
BATCH_TASK = "distgraph.batch"

#: The version of a hint's arguments. A hint says it only where it is another one than 1.
FORMAT = 1
#: How often a hint that is not understood goes round; then it is left to the sweep, which hints again what is due.
ROUNDS = 20
KINDS: dict[str, Any] = {RUN_TASK: RunHint, NODE_TASK: NodeHint, CALL_TASK: CallHint, BATCH_TASK: BatchHint}

_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


class Row(NamedTuple):
    """How a hint shows in Flower.

    Attributes:
        task: the Celery task that is called.
        name: what Flower shows in its place; never an id, for it is a label of Flower's metrics too.
        id: the row's id. Two hints for the same run or task share their row.
        root: id of the row that its page links to as root and, if it is another one, as parent.
        arguments: what Flower shows as keyword arguments and finds by ``kwargs:run=<id>``; ids and numbers only.
    """

    task: str
    name: str
    id: str
    root: str
    arguments: dict[str, Any]


def _row(hint: Hint) -> Row:
    if isinstance(hint, NodeHint):
        more = len(hint.tasks) - 1
        node = hint.node.removesuffix(f" +{more}") if more else hint.node
        size = {"tasks": more + 1} if more else {}
        own = hint.tasks[0][0]
        # The run comes last: a table cuts off a long id, and what follows it would never be seen.
        return Row(
            NODE_TASK,
            f"{hint.graph}/{node}",
            own,
            _family(hint.run_id, own),
            {"step": hint.step, **size, "run": hint.run_id},
        )
    if isinstance(hint, CallHint):
        more_of = {"step": hint.step, "run": hint.run_id}
        return Row(CALL_TASK, f"{hint.graph}/{hint.node}", hint.offer, _family(hint.run_id, hint.offer), more_of)
    if isinstance(hint, RunHint):
        named = {"thread": hint.thread_id} if hint.thread_id != hint.run_id else {}
        return Row(RUN_TASK, f"run:{hint.graph}", hint.run_id, hint.run_id, {"run": hint.run_id, **named})
    own = f"{hint.batch_id}~{uuid.uuid4().hex[:12]}"
    return Row(BATCH_TASK, f"batch:{hint.graph}", own, own, {"batch": hint.batch_id})


def _family(run_id: str, own: str) -> str:
    """The row that a node's row belongs to: one that exists, so that the link leads somewhere.

    A run that was submitted by itself has a row. An item of a batch has none while it stays in its slice; what it sends
    off then belongs to the row of that slice, which is the Celery task that publishes here.
    """
    # Looked up, not imported: a submitter does not load Celery.
    state = sys.modules.get("celery._state")
    publishing = state.get_current_worker_task() if state is not None else None
    if publishing is not None and publishing.name in KINDS:
        return str(publishing.request.root_id)
    return own if split_item(run_id) is not None else run_id


def understood(task: str, args: Sequence[Any], more: Mapping[str, Any]) -> Hint | None:
    """The hint that a message brought; None for one of another version, which others may understand."""
    if more.get("v", FORMAT) != FORMAT:
        return None
    try:
        hint: Hint = KINDS[task](*args)
    except TypeError:
        return None
    # Ids, the graph's name and its fingerprint come first; whatever else is there is no key of the ledger's.
    texts = hint[: 3 if isinstance(hint, BatchHint) else 4]
    return hint if all(isinstance(text, str) for text in texts) else None


def going_round(queue: str, task: str, args: Sequence[Any], more: Mapping[str, Any]) -> tuple[str, str] | None:
    """(queue, message) of a hint that was not understood, for other workers; None once it went round often enough."""
    rounds = int(more.get("rounds", 0)) + 1
    if rounds > ROUNDS:
        return None
    own = uuid.uuid4().hex
    row = Row(task, task, own, own, {"rounds": rounds})
    return queue, _message(queue, row, args, {**more, "rounds": rounds})


def render(namespace: str, hint: Hint) -> tuple[str, str]:
    """(queue, message) of a hint."""
    queue = queue_name(namespace, hint.queue if isinstance(hint, NodeHint) else None)
    return queue, _message(queue, _row(hint), list(hint), {})


def read(message: bytes) -> Hint | None:
    """The hint in a message that waits; None if it is none of ours, or of a version that is not understood."""
    try:
        told = json.loads(message)
        args, more, _ = json.loads(base64.b64decode(told["body"]))
        return understood(told["headers"]["task"], args, more)
    except (ValueError, LookupError, TypeError):
        return None


def _message(queue: str, row: Row, args: Sequence[Any], more: Mapping[str, Any]) -> str:
    body = base64.b64encode(json.dumps([list(args), dict(more), _EMBED]).encode()).decode()
    message = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": row.task,
            "id": row.id,
            "shadow": row.name,
            "eta": None,
            "expires": None,
            "group": None,
            "group_index": None,
            "retries": 0,
            "timelimit": [None, None],
            "root_id": row.root,
            "parent_id": row.root if row.root != row.id else None,
            "argsrepr": "()",
            "kwargsrepr": repr(row.arguments),
            "origin": "distgraph",
            "ignore_result": True,
            "replaced_task_nesting": 0,
            "stamped_headers": None,
            "stamps": {},
        },
        "properties": {
            "correlation_id": row.id,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    return json.dumps(message)
