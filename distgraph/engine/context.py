"""What all tasks of one run share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from distgraph.constants import NS_SEP
from distgraph.engine.naps import Naps
from distgraph.runtime import DEFAULT_RUNTIME, Runtime
from distgraph.superstep.model import Program, Task
from distgraph.types import Durability, StreamWriter

if TYPE_CHECKING:
    from distgraph.engine.children import Children
    from distgraph.engine.tracing import Trace


class Emit(Protocol):
    """Tells whoever reads the run's stream. Called from any OS thread."""

    def __call__(self, ns: tuple[str, ...], mode: str, payload: Any, key: str = "", /) -> None:
        """One chunk of a stream mode. ``key`` names what it tells of: a checkpoint or a task; '' of what nodes tell."""


class Replay:
    """Takes nested graphs back to where they were at a checkpoint of the root, each once."""

    __slots__ = ("_visited", "before")

    def __init__(self, before: str) -> None:
        self.before = before
        self._visited: set[str] = set()

    def first_visit(self, ns: str) -> bool:
        """Whether the graph in ``ns`` was not run yet in this run."""
        if ns in self._visited:
            return False
        self._visited.add(ns)
        return True


class RunContext:
    """One run, as its tasks see it. A shell makes one per run and process.

    Attributes:
        program: the graph.
        config: the run's config, complete.
        runtime: what every task's Runtime starts from: context, store, control, effects.
        saver: for graphs nested in nodes that bring none; None: nothing is stored.
        children: starts tasks that nodes call; None where none are run.
        trace: tells callback handlers of nodes; None: there are none.
        around: tells the node that runs this graph that it makes progress; None at the root.
        cache: results of nodes with a cache policy.
        ns: the run's checkpoint namespace; "" at the root.
        thread_id: its line of checkpoints.
        run_id: given by the caller, or "".
        stop: the last superstep allowed.
        emit: None where nobody reads a stream.
        modes: stream modes that somebody reads.
        pieces: models tell the events of which a message is made; shared with nested graphs.
        naps: sleeps of its tasks.
        nested_emit: where chunks of graphs nested in nodes go too; None: nowhere.
        nested_modes: stream modes that are wanted of them.
        debug: nodes that change their input in place are reported.
        resuming: nested graphs continue from their own checkpoints.
        unsure: whether a task began its nested graphs before is not known: their checkpoints tell.
        replay: nested graphs go back to where they were at a checkpoint of the root; None: they do not.
        resume_map: interrupt id -> answer, for nested graphs.
        askers: interrupt id -> id of the task that runs the graph which asked; without it: the task that runs here.
        seen: ids of messages that readers of the stream know, or that are older than the node that returns them; shared
            with nested graphs.
        loose: answers to whichever question is asked next in this superstep, of the outermost graph.
    """

    __slots__ = (
        "around",
        "askers",
        "cache",
        "children",
        "config",
        "debug",
        "durability",
        "emit",
        "loose",
        "modes",
        "naps",
        "nested_emit",
        "nested_modes",
        "ns",
        "ns_tuple",
        "pieces",
        "program",
        "replay",
        "resume_map",
        "resuming",
        "run_id",
        "runtime",
        "saver",
        "seen",
        "stop",
        "thread_id",
        "trace",
        "unsure",
        "writer",
    )

    def __init__(
        self,
        program: Program,
        *,
        config: Mapping[str, Any] | None = None,
        runtime: Runtime[Any] = DEFAULT_RUNTIME,
        saver: Any = None,
        cache: Any = None,
        ns: str = "",
        thread_id: str | None = None,
        run_id: str = "",
        stop: int = 0,
        emit: Emit | None = None,
        modes: frozenset[str] = frozenset(),
        durability: Durability = "async",
        debug: bool = False,
    ) -> None:
        self.program = program
        self.config: Mapping[str, Any] = config or {}
        self.runtime = runtime
        self.saver = saver
        self.cache = cache
        self.ns = ns
        self.ns_tuple: tuple[str, ...] = tuple(ns.split(NS_SEP)) if ns else ()
        self.thread_id = thread_id
        self.run_id = run_id
        self.stop = stop
        self.emit = emit
        self.modes = modes
        self.durability = durability
        self.debug = debug
        self.around: Callable[[], None] | None = None
        self.children: Children | None = None
        self.trace: Trace | None = None
        self.naps = Naps()
        self.resuming = self.unsure = self.pieces = False
        self.replay: Replay | None = None
        self.nested_emit: Emit | None = None
        self.nested_modes: frozenset[str] = frozenset()
        self.resume_map: dict[str, Any] = {}
        self.askers: dict[str, str] = {}
        self.loose: list[Any] = []
        self.seen: set[Any] = set()
        self.writer = self._make_writer()

    def _make_writer(self) -> StreamWriter | None:
        emit, ns = self.emit, self.ns_tuple
        if emit is None or "custom" not in self.modes:
            return None
        return lambda chunk: emit(ns, "custom", chunk)

    @property
    def parent_task_ns(self) -> str:
        """The namespace of the task that runs this graph: the run's own, without the number of the call."""
        parts = self.ns.split(NS_SEP)
        while parts and parts[-1].isdigit():
            parts.pop()
        return NS_SEP.join(parts)

    def take_answer(self) -> tuple[bool, Any]:
        """Whether an answer waits for whoever asks next, and that answer."""
        try:
            return True, self.loose.pop(0)
        except IndexError:
            return False, None

    def config_of(self, task: Task) -> dict[str, Any]:
        """The config of one task: the run's, with the task's place in it."""
        node, config, ns = task.node, self.config, task.checkpoint_ns
        configurable = config.get("configurable") or {}
        made: dict[str, Any] = {
            **config,
            "metadata": {
                **(config.get("metadata") or {}),
                "langgraph_step": task.step,
                "langgraph_node": task.name,
                "langgraph_triggers": tuple(task.triggers),
                "langgraph_path": task.path,
                "langgraph_checkpoint_ns": ns,
                **node.metadata,
            },
            "configurable": {
                **configurable,
                "checkpoint_ns": ns,
                "checkpoint_id": None,
                "checkpoint_map": {**configurable.get("checkpoint_map", {}), self.ns: task.at.id},
            },
        }
        if node.tags:
            made["tags"] = [*(config.get("tags") or ()), *node.tags]
        return made
