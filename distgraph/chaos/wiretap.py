"""The ledger's side of a history: what went over the wire, as the proxy saw it.

It needs nothing from the processes that are killed, and knows what they cannot: whether a commit whose answer was lost was
executed. Each event carries ``t``, when the request came by, and ``done``, when its answer did.

    take        a slot bound items ``start..stop`` of ``chunk`` of ``batch`` to ``slice``
    leave       a slice ended: ``slice``
    step        a superstep of the batch item ``run``: ``kind`` step, end or promote, from checkpoint ``parent`` to ``head``
    claim       ``slot`` leased ``run``
    claim_task  ``slot`` claimed ``task`` of ``run``
    offer       ``slot`` opened the superstep after ``head``
    settle      ``slot`` settled ``task`` of ``run``
    commit      a superstep of ``run``, from ``parent`` to ``head`` ("": the head stays), with ``status`` after it
    cancel      ``run`` was cancelled
    hint        ``count`` hints were sent

``f``: ok (applied), fail (refused, or never executed) or info (unknown: the server died with it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from distgraph.chaos.history import Event, Journal
from distgraph.chaos.proxy import Fate, Request
from distgraph.ledger.keys import item_id
from distgraph.ledger.replies import Taken

#: What scripts answer that applied what they were asked, this time or the first time.
APPLIED = {"ok", "closed", "new", "same"}


class Wiretap:
    """The observer of a proxy: writes what it sees into a journal.

    Attributes:
        ended: batch items that came to their end, as far as it saw.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.ended = 0

    def __call__(self, request: Request, fate: Fate, reply: Any, t: float) -> None:
        for event in events(request, fate, reply):
            if event["f"] == "ok" and (event.get("kind") == "end" or event.get("row")):
                self.ended += 1
            self.journal.write(event.pop("op"), event.pop("f"), request.t, done=t, **event)


def events(request: Request, fate: Fate, reply: Any) -> Iterator[Event]:
    """What a request says to a history; nothing for most."""
    if request.command in (b"LPUSH", b"RPUSH") and request.words[1].startswith(b"dg."):
        yield {"op": "hint", "f": _f(fate, True), "count": 1, "queue": _text(request.words[1])}
        return
    reader = _READERS.get(request.script)
    if reader is not None:
        # EVALSHA digest #keys keys... arguments...
        arguments = request.words[3 + int(request.words[2]) :]
        executed = fate in ("answered", "unheard")
        yield from reader(arguments, fate, reply if executed else None)


def _f(fate: Fate, applied: bool) -> str:
    if fate == "unknown":
        return "info"
    return "ok" if applied and fate != "lost" else "fail"


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _word(reply: Any) -> str:
    return _text(reply[0]) if isinstance(reply, list) and reply and isinstance(reply[0], bytes) else ""


def _simple(op: str, *names: str) -> Callable[[list[bytes], Fate, Any], Iterator[Event]]:
    """A reader of scripts whose arguments begin with these; '' for one that is of no interest."""

    def read(arguments: list[bytes], fate: Fate, reply: Any) -> Iterator[Event]:
        found = {name: _text(value) for name, value in zip(names, arguments, strict=False) if name}
        yield {"op": op, "f": _f(fate, _word(reply) in APPLIED), "answer": _word(reply), **found}

    return read


def _take(arguments: list[bytes], fate: Fate, reply: Any) -> Iterator[Event]:
    batch, name, slot = map(_text, arguments[:3])
    if _word(reply) == "ok":
        span = Taken.parse(_text(reply[1]))
        where = {"chunk": span.chunk, "start": span.start, "stop": span.stop, "flag": span.flag}
        yield {"op": "take", "f": "ok", "batch": batch, "slice": name, "slot": slot, **where}


def _leave(arguments: list[bytes], fate: Fate, reply: Any) -> Iterator[Event]:
    if _word(reply) in ("ok", "quarantined"):
        yield {"op": "leave", "f": "ok", "slice": _text(arguments[1]), "slot": _text(arguments[2])}


def _steps(arguments: list[bytes], fate: Fate, reply: Any) -> Iterator[Event]:
    batch, name, _, slot = map(_text, arguments[:4])
    count, at = int(arguments[6]), 7
    # The last answer of a commit that is to end the slice is whether it did.
    ends = arguments[5] != b""
    known = isinstance(reply, list) and len(reply) == count + ends and _word(reply) != "stale"
    answers = reply if known else [b""] * (count + ends)
    for answer in answers[:count]:
        kind, index, parent, head, size = arguments[at : at + 5]
        at += 5 + int(size)
        if kind == b"own":
            continue
        yield {
            "op": "step",
            "f": _f(fate, answer == b"1"),
            "run": item_id(batch, int(index)),
            "slice": name,
            "slot": slot,
            "kind": _text(kind),
            "parent": _text(parent),
            "head": _text(head),
        }
    if ends and answers[count] != b"0":
        yield {"op": "leave", "f": _f(fate, True), "slice": name, "slot": slot}


def _commit(arguments: list[bytes], fate: Fate, reply: Any) -> Iterator[Event]:
    names = ("run", "slot", "epoch", "parent", "head", "status")
    for event in _simple("commit", *names)(arguments, fate, reply):
        # The tenth argument is the row of a batch item that ends here.
        yield {**event, "row": 1} if arguments[9] else event


def _cancel(arguments: list[bytes], fate: Fate, reply: Any) -> Iterator[Event]:
    if arguments[0] == b"cancel":
        yield {"op": "cancel", "f": _f(fate, _word(reply) == "ok"), "run": _text(arguments[1])}


_READERS: dict[str, Callable[[list[bytes], Fate, Any], Iterator[Event]]] = {
    "batch_take": _take,
    "batch_return": _leave,
    "batch_commit": _steps,
    "claim_run": _simple("claim", "run", "slot"),
    "claim_task": _simple("claim_task", "run", "slot", "epoch", "head", "task"),
    "offer": _simple("offer", "run", "slot", "epoch", "head"),
    "settle": _simple("settle", "run", "slot", "epoch", "head", "task"),
    "commit": _commit,
    "control": _cancel,
}
