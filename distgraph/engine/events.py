"""What callback handlers are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distgraph.callbacks import GraphInterruptEvent, GraphResumeEvent
from distgraph.superstep.advance import Verdict

if TYPE_CHECKING:
    from distgraph.engine.session import Session


def event_for(session: Session, method: str) -> GraphInterruptEvent | GraphResumeEvent:
    """The event of a run that stopped ("on_interrupt") or goes on ("on_resume")."""
    run_id, ns = session.ctx.run_id or None, session.ctx.ns_tuple
    if method == "on_resume":
        return GraphResumeEvent(run_id, "pending", session.at.id, ns)
    status = session.verdict.value if session.verdict in (Verdict.STOP_BEFORE, Verdict.STOP_AFTER) else "pending"
    return GraphInterruptEvent(run_id, status, session.at.id, ns, tuple(session.interrupts))  # type: ignore[arg-type]
