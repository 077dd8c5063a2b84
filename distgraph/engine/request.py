"""What a caller asks an engine to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from distgraph.runtime import RunControl
from distgraph.superstep.advance import Stops
from distgraph.superstep.model import Program
from distgraph.types import Durability


@dataclass(slots=True)
class Request:
    """One run to be made.

    Attributes:
        program: the compiled graph.
        input: a new run's input, ``None`` to go on, or a ``Command``.
        config: the caller's config over the graph's own; may be partial.
        context: what nodes see as ``runtime.context``.
        modes: stream modes that somebody reads. Nothing is computed for others.
        pieces: ``messages`` chunks of models are the events of which LangChain makes a message, instead of parts of it.
        output_keys: channel(s) of ``values`` and ``updates`` chunks and of the result; None: the streamed ones.
        interrupt_before: nodes to stop before, or "*"; None: the program's own.
        interrupt_after: nodes to stop after, or "*"; None: the program's own.
        durability: when checkpoints are written; None: as the parent run, or "async".
        control: asks the run to stop at a superstep boundary.
        subgraphs: chunks of graphs nested in nodes are wanted too.
        debug: also detect nodes that change their input in place.
        saver: a saver; None: the parent run's; False: none; True: the parent run's, with one history a thread.
        store: the graph's store; nodes of nested graphs see their parent's.
        cache: the graph's cache of node results.
        name: the graph's name.
        told_as: the name by which callback handlers know its runs; '' the graph's.
        step_timeout: seconds one superstep may take.
        multitask_strategy: what happens where the thread has an active run; on a cluster only.
        max_concurrency: tasks of one superstep at the same time; None: the config's, or a default.
    """

    program: Program
    input: Any = None
    config: Mapping[str, Any] | None = None
    context: Any = None
    modes: frozenset[str] = frozenset()
    pieces: bool = False
    output_keys: str | Sequence[str] | None = None
    interrupt_before: Stops | Sequence[str] | Literal["*"] | None = None
    interrupt_after: Stops | Sequence[str] | Literal["*"] | None = None
    durability: Durability | None = None
    control: RunControl | None = None
    subgraphs: bool = False
    debug: bool = False
    saver: Any = None
    store: Any = None
    cache: Any = None
    name: str = "graph"
    told_as: str = ""
    step_timeout: float | None = None
    multitask_strategy: str | None = None
    max_concurrency: int | None = None
