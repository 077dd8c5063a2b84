"""Tasks that nodes call, as part of a session: what they came to before, and what they come to now.

Children end in OS threads of their own; whoever calls these functions makes the session's calls of the saver afterwards.
"""

from __future__ import annotations

from distgraph.constants import INTERRUPT, RESUME
from distgraph.engine.caching import cache_key, keep_cached
from distgraph.engine.execute import failure_writes
from distgraph.engine.savers import Calls
from distgraph.engine.session import Session
from distgraph.errors import GraphBubbleUp
from distgraph.superstep.advance import restore
from distgraph.superstep.model import Task
from distgraph.superstep.resume import answers_of, give_answers
from distgraph.types import Write


def adopt(session: Session, child: Task) -> None:
    """Give ``child`` what it wrote before this run, if it had finished, or the answers it waits for."""
    if session.streams is not None:
        session.streams.started([child])
    before, answers = session.before, session.ctx.resume_map
    if not before:
        return
    restore([child], before)
    if child.finished:
        return
    given = give_answers([child], before, answers) if answers else None
    if given is not None:
        session.ctx.askers.update(given.askers)
    if given is not None and child.id in given.tasks:
        session.keep_from_outside(child.id, [(RESUME, given.tasks[child.id])])
        session.answers[child.id] = given.tasks[child.id]
    elif earlier := answers_of(before.get(child.id, ())):
        session.answers[child.id] = earlier


def keep(session: Session, child: Task, writes: list[Write], *, cached: bool = False) -> None:
    """``child`` returned, or asked."""
    child.writes = writes
    if session.ctx.around is not None:
        session.ctx.around()
    if session.saver is not None:
        session.keep_writes(child, writes)
    if not cached and (op := keep_cached(session, child, writes)):
        session.ops.append(op)
    if session.streams is not None and writes[0][0] != INTERRUPT:
        # A question is told of by the parent, which stops with it.
        session.streams.settled(child, writes, cached=cached)


def lose(session: Session, child: Task, exc: BaseException) -> None:
    """``child`` failed for good."""
    if isinstance(exc, GraphBubbleUp):
        return
    if session.saver is not None:
        session.keep_writes(child, [*failure_writes(exc), *session.answers_before(child, exc)])
    if session.streams is not None:
        session.streams.failed(child, exc)


def take_cached(session: Session, child: Task) -> Calls[bool]:
    """Settle a task that a node called, if the cache has its result; whether it has."""
    ctx = session.ctx
    key = cache_key(session.program, child, ctx.stop) if ctx.cache is not None else None
    if key is None:
        return False
    found = yield "cache_get", (ctx.cache, ((key.ns, key.key),))
    writes = found.get((key.ns, key.key))
    if not writes:
        session.cached_as[child.id] = key
        return False
    keep(session, child, [(channel, value) for channel, value in writes], cached=True)
    return True
