"""A hint as the bytes Celery puts on its queue: message protocol 2 in Kombu's JSON envelope.

Rendering it here costs 5 us; publishing through ``apply_async`` costs 300. A test holds it against what ``apply_async``
writes, so that a change of the format is seen when Celery is upgraded, not in production.
"""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

from distgraph.cluster.hints import Hint, NodeHint, RunHint, queue_name

RUN_TASK = "distgraph.run"
NODE_TASK = "distgraph.node"
BATCH_TASK = "distgraph.batch"

_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def _describe(hint: Hint) -> tuple[str, str, str, str | None, dict[str, Any]]:
    """Celery task, shown name, message id, id of the parent row, what Flower shows as its arguments."""
    if isinstance(hint, NodeHint):
        shown = {"run": hint.run_id, "step": hint.step, "tasks": len(hint.tasks)}
        return NODE_TASK, f"{hint.graph}/{hint.node}", hint.tasks[0][0], hint.run_id, shown
    if isinstance(hint, RunHint):
        return RUN_TASK, f"run:{hint.graph}", hint.run_id, None, {"run": hint.run_id, "thread": hint.thread_id}
    own = f"{hint.batch_id}#{uuid.uuid4().hex[:12]}"
    return BATCH_TASK, f"batch:{hint.graph}", own, hint.batch_id, {"batch": hint.batch_id}


def render(namespace: str, hint: Hint) -> tuple[str, str]:
    """(queue, message) of a hint."""
    task, shown, message_id, parent, shown_kwargs = _describe(hint)
    queue = queue_name(namespace, hint.queue if isinstance(hint, NodeHint) else None)
    body = base64.b64encode(json.dumps([list(hint), {}, _EMBED]).encode()).decode()
    message = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": task,
            "id": message_id,
            "shadow": shown,
            "eta": None,
            "expires": None,
            "group": None,
            "group_index": None,
            "retries": 0,
            "timelimit": [None, None],
            "root_id": parent or message_id,
            "parent_id": parent,
            "argsrepr": "()",
            "kwargsrepr": repr(shown_kwargs),
            "origin": "distgraph",
            "ignore_result": True,
            "replaced_task_nesting": 0,
            "stamped_headers": None,
            "stamps": {},
        },
        "properties": {
            "correlation_id": message_id,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    return queue, json.dumps(message)
