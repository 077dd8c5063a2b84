"""A hint as Celery's own message, and as a row that Flower's readers understand."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from distgraph.cluster.celery.config import settings
from distgraph.cluster.celery.envelope import BATCH_TASK, NODE_TASK, RUN_TASK, going_round, read, render, understood
from distgraph.cluster.hints import BatchHint, Hint, NodeHint, RunHint, meant

pytestmark = pytest.mark.unit

RUN = RunHint("letters-7", "letters-7", "census", "f1")
BATCH = BatchHint("stdlib", "census", "f1")


def node(*tasks: str, run: str = "letters-7", queue: str | None = None) -> NodeHint:
    """A hint for tasks of node `measure` in superstep 3, named as the driver names packs."""
    name = "measure" if len(tasks) == 1 else f"measure +{len(tasks) - 1}"
    offered = [(task, ["~", "measure"]) for task in tasks]
    return NodeHint(run, run, "census", "f1", 1, "head", offered, name, 3, queue)


def message(hint: Hint) -> dict[str, Any]:
    loaded = json.loads(render("shop", hint)[1])
    assert isinstance(loaded, dict)
    return loaded


def headers(hint: Hint) -> dict[str, Any]:
    found = message(hint)["headers"]
    assert isinstance(found, dict)
    return found


@pytest.fixture
def app() -> Iterator[Celery]:
    """Celery with distgraph's settings on a broker inside this process."""
    with Celery("test", set_as_current=False) as made:
        made.conf.update({**settings("redis://localhost", "shop"), "broker_url": "memory://"})
        yield made


def sent_within(app: Celery, name: str, task_id: str, hint: Hint) -> dict[str, Any]:
    """The headers of a hint that is published by a Celery task."""
    sent = []

    def publish() -> None:
        sent.append(headers(hint))

    app.task(publish, name=name).apply(task_id=task_id, throw=True)
    return sent[0]


@pytest.mark.parametrize(
    "hint", [RUN, node("t1"), node("t1", "t2", queue="gpu"), BATCH], ids=lambda h: type(h).__name__
)
def test_a_hint_is_the_message_that_celery_itself_would_send(hint: Hint, app: Celery) -> None:
    """All headers, properties and the body; only what names the sender and the single delivery differs."""
    queue, rendered = render("shop", hint)
    ours = json.loads(rendered)
    given = ours["headers"]
    with app.connection_for_write() as connection:
        same = ("shadow", "root_id", "parent_id", "argsrepr", "kwargsrepr", "ignore_result")
        app.send_task(
            given["task"],
            args=list(hint),
            task_id=given["id"],
            queue=queue,
            connection=connection,
            **{name: given[name] for name in same},
        )
        theirs = connection.default_channel.queues[queue].get_nowait()
    for name in ("argsrepr", "kwargsrepr"):
        del theirs["properties"][name]  # a copy of the header, which nobody reads
    for sent in (ours, theirs):
        del sent["headers"]["origin"], sent["properties"]["delivery_tag"], sent["properties"]["reply_to"]
    assert json.loads(base64.b64decode(ours.pop("body"))) == json.loads(base64.b64decode(theirs.pop("body")))
    assert ours == theirs


def test_a_node_reads_graph_and_node() -> None:
    assert headers(node("t1"))["shadow"] == "census/measure"
    assert (headers(RUN)["shadow"], headers(BATCH)["shadow"]) == ("run:census", "batch:census")


def test_names_are_few() -> None:
    """A name is a label of Flower's metrics: the size of a pack is told beside it, not in it."""
    pack = headers(node("t1", "t2", "t3"))
    assert pack["shadow"] == "census/measure"
    assert pack["kwargsrepr"] == "{'step': 3, 'tasks': 3, 'run': 'letters-7'}"


def test_what_flower_shows_is_ids_and_numbers() -> None:
    """Flower looks runs up with `kwargs:run=ID`: the text has the form of a Python dict. A thread is told if it is named."""
    assert headers(node("t1"))["kwargsrepr"] == "{'step': 3, 'run': 'letters-7'}"
    assert headers(RUN)["kwargsrepr"] == "{'run': 'letters-7'}"
    assert headers(RUN._replace(thread_id="ada"))["kwargsrepr"] == "{'run': 'letters-7', 'thread': 'ada'}"
    assert headers(BATCH)["kwargsrepr"] == "{'batch': 'stdlib'}"


def test_a_node_links_to_its_run() -> None:
    """The run's row has the run's id; it is the root, and nobody's child."""
    assert (headers(node("t1"))["root_id"], headers(node("t1"))["parent_id"]) == ("letters-7", "letters-7")
    assert (headers(RUN)["id"], headers(RUN)["root_id"], headers(RUN)["parent_id"]) == ("letters-7", "letters-7", None)


def test_a_node_of_a_batch_item_links_to_the_slice_that_sent_it_off(app: Celery) -> None:
    """The item itself has no row while it is in its slice: a link to it would lead nowhere."""
    sent = sent_within(app, BATCH_TASK, "stdlib~1a2b", node("t1", run="stdlib:4"))
    assert (sent["root_id"], sent["parent_id"]) == ("stdlib~1a2b", "stdlib~1a2b")


def test_a_node_of_a_batch_item_that_nobody_sent_off_links_to_itself() -> None:
    """As a sweep hints it: outside any Celery task."""
    sent = headers(node("t1", run="stdlib:4"))
    assert (sent["root_id"], sent["parent_id"]) == ("t1", None)


def test_a_submitter_that_is_a_celery_task_of_its_own_is_not_linked(app: Celery) -> None:
    """Its row is in another Flower, if anywhere."""
    assert sent_within(app, "shop.nightly", "theirs", node("t1"))["root_id"] == "letters-7"


def test_slices_have_rows_of_their_own() -> None:
    first, second = headers(BATCH)["id"], headers(BATCH)["id"]
    assert first != second
    assert all(name.startswith("stdlib~") for name in (first, second))


def test_a_hint_waits_in_the_queue_of_its_namespace_and_node() -> None:
    assert [render("shop", hint)[0] for hint in (RUN, node("t1"), node("t1", queue="gpu"), BATCH)] == [
        *("dg.shop", "dg.shop", "dg.shop.gpu", "dg.shop"),
    ]
    assert [headers(hint)["task"] for hint in (RUN, node("t1"), BATCH)] == [RUN_TASK, NODE_TASK, BATCH_TASK]


def test_a_hint_of_another_version_is_not_run_but_goes_round() -> None:
    """To workers that may understand it; not for ever, for a sweep hints again what is due."""
    assert understood(RUN_TASK, RUN, {}) == RUN
    assert understood(RUN_TASK, list(RUN), {"v": 1}) == RUN
    assert understood(RUN_TASK, RUN, {"v": 2}) is None
    assert understood(RUN_TASK, [*RUN, "what is this?"], {}) is None
    more: dict[str, Any] = {"v": 2, "new": "thing"}
    rounds = 0
    while (sent := going_round("dg.shop.gpu", RUN_TASK, [*RUN, "more"], more)) is not None:
        queue, text = sent
        args, more, _ = json.loads(base64.b64decode(json.loads(text)["body"]))
        assert (queue, args, more["v"], more["new"]) == ("dg.shop.gpu", [*RUN, "more"], 2, "thing")
        assert json.loads(text)["headers"]["task"] == RUN_TASK
        rounds += 1
    assert rounds == 20


@pytest.mark.parametrize("hint", [RUN, BATCH, node("a", "b")])
def test_a_message_that_waits_can_be_read(hint: Hint) -> None:
    found = read(render("shop", hint)[1].encode())
    assert found is not None
    assert meant(found) == meant(hint)


@pytest.mark.parametrize(
    "message", [b"", b"{}", b"[]", b'{"body": "eA==", "headers": {}}', b'{"body": 1, "headers": 2}']
)
def test_what_somebody_else_left_in_the_queue_is_passed_over(message: bytes) -> None:
    assert read(message) is None


@pytest.mark.parametrize("odd", [None, 3, ["r"], {}, b"r"])
@pytest.mark.parametrize("at", range(4))
def test_ids_that_are_no_texts_are_not_understood(at: int, odd: Any) -> None:
    ids: list[Any] = ["r", "t", "g", "f"]
    assert understood(RUN_TASK, ids, {}) == ("r", "t", "g", "f", 0, False)
    ids[at] = odd
    assert understood(RUN_TASK, ids, {}) is None
    assert understood(NODE_TASK, [*ids, 1, "head", [], "x", 1], {}) is None
    assert understood(BATCH_TASK, ids[1:] if at else ids[:3], {}) is None
