"""A run's log -> the chunks that its graph in process would have sent, in their order.

The engine's own ``Streams`` makes them, of the same tasks, writes and checkpoints; they are only read instead of run.
Which entries there are says ``events.py``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from distgraph.channels.last_value import LastValue
from distgraph.checkpoint.lines import decode_value
from distgraph.cluster.events import LIVE, NESTED, Frame
from distgraph.cluster.failures import rebuild
from distgraph.cluster.stopwatch import RAN
from distgraph.constants import CACHED, ERROR, INTERRUPT, PULL, PUSH, TASKS
from distgraph.engine.context import RunContext
from distgraph.engine.messages import begun_by, message_id, messages_in
from distgraph.engine.place import told_by
from distgraph.engine.streams import Keys, Streams, asked_values, checkpoint_chunk, keeps_state
from distgraph.superstep.model import EMPTY, Checkpoint, Node, Program, Task, is_finished, make_program
from distgraph.types import Write
from distgraph.wire import Codec

#: Modes whose chunks need the tasks of a superstep, not only what they wrote.
_OF_TASKS = frozenset({"tasks", "checkpoints", "debug", "messages"})
#: Modes whose chunks need the state: one who attaches late needs an entry that has all of it.
OF_STATE = frozenset({"values"}) | _OF_TASKS
#: Chunks of nested graphs that are remembered, to know those that a task told again which died in between.
MOST_TOLD = 10_000


class Told(NamedTuple):
    """One chunk.

    Attributes:
        ns: way to the nested graph it comes from; () for the run's own.
        attempt: of what a node told while it ran: which attempt it was. '' of what is settled.
        task: the id of the task that ran, of those.
    """

    ns: tuple[str, ...]
    mode: str
    data: Any
    attempt: str = ""
    task: str = ""


class _ReadStreams(Streams):
    """The engine's streams, at the time of the entry that is read."""

    __slots__ = ("ms",)

    def __init__(self, ctx: RunContext, keys: Keys) -> None:
        super().__init__(ctx, keys)
        self.ms = 0

    def stamp(self) -> str:
        return datetime.fromtimestamp(self.ms / 1000, UTC).isoformat()


class Replay:
    """Reads one run's log, entry by entry.

    Args:
        codec: of the graph's values.
        program: the graph, or what is known of it where its code is not (see ``outline``).
        config: of the run, as its nodes see it.
        modes: that are wanted.
        keys: of ``values`` and ``updates``; None: the graph's own.
        nested: chunks of nested graphs are wanted too.
        pieces: of the log of a run whose models told the events of which messages are made.

    Attributes:
        ended: how the run came to rest, if the last entry said so: status and error.
    """

    def __init__(
        self,
        codec: Codec,
        program: Program,
        config: Mapping[str, Any],
        modes: Collection[str],
        keys: Keys | None = None,
        *,
        nested: bool = False,
        pieces: bool = False,
    ) -> None:
        self.codec, self.program, self.modes, self.nested = codec, program, frozenset(modes), nested
        self.ended: tuple[str, Any] | None = None
        configurable = config.get("configurable") or {}
        config = {**config, "metadata": {**told_by(configurable), **(config.get("metadata") or {})}}
        self._ctx = RunContext(program, config=config, emit=self._take, modes=self.modes)
        self._ctx.pieces = pieces
        self._keys = program.streamed if keys is None else keys
        self._wanted = {self._keys} if isinstance(self._keys, str) else set(self._keys)
        self._streams = _ReadStreams(self._ctx, self._keys)
        self._needs_state = not self.modes.isdisjoint(OF_STATE)
        self._needs_tasks = not self.modes.isdisjoint(_OF_TASKS)
        self._at: Checkpoint = EMPTY
        self._tasks: dict[str, Task] = {}
        #: Tasks of this superstep whose outcome was told already: when they settled, or before the run had stopped.
        self._known: set[str] = set()
        self._epoch = 0
        self._nested: OrderedDict[tuple[Any, ...], None] = OrderedDict()
        self._out: list[Told] = []

    def chunks(self, entry_id: str, data: bytes) -> list[Told]:
        """What one entry tells."""
        kind, *rest = self.codec.decode(data)
        if kind == RAN:
            # It may come after the run's end.
            return []
        self._streams.ms = int(entry_id.partition("-")[0])
        self.ended = None
        if kind == "step":
            self._step(Frame.of(rest))
        elif kind == "go":
            self._go(Frame.of(rest))
        elif kind == "settled":
            for row in rest[0]:
                self._settle(row, rest[1])
                self._known.add(row[1])
        elif kind == "end":
            self._end(*rest)
        elif kind == LIVE:
            self._live(*rest)
        elif kind == NESTED:
            self._of_nested(*rest)
        elif kind == "custom":
            # Of a release that named no attempt.
            self._live("custom", rest[0], rest[1], "", "")
        out, self._out = self._out, []
        return out

    def _take(self, ns: tuple[str, ...], mode: str, payload: Any, key: str = "") -> None:
        self._out.append(Told(ns, mode, payload))

    # ------------------------------------------------------------- supersteps

    def _step(self, frame: Frame) -> None:
        for row in frame.rows:
            if row[1] not in self._known:
                self._settle(row, frame.more.get("errors", {}))
        self._known.clear()
        self._stand(frame)
        updated = frame.more.get("updated")
        if updated is None:
            updated = [channel for row in frame.rows for channel, _ in row[4]]
        if frame.source != "input" and not self._wanted.isdisjoint(updated):
            self._streams.state(self._at)
        self._following(frame, {})

    def _go(self, frame: Frame) -> None:
        """The run begins from a checkpoint that was there, or goes on. A release before may have said so several times."""
        epoch = frame.more["epoch"]
        if epoch <= self._epoch:
            return
        self._epoch = epoch
        self._stand(frame)
        self._streams.state(self._at)
        pending = {row[1]: [(c, v) for c, v in row[4]] for row in frame.rows}
        for writes in pending.values():
            writes[:] = [(c, repr(rebuild(v))) if c == ERROR and isinstance(v, dict) else (c, v) for c, v in writes]
        self._following(frame, pending)
        if not frame.more.get("run"):
            return
        for row in frame.rows:
            if is_finished(pending[row[1]]):
                self._streams.settled(self._task(row), pending[row[1]], cached=True)
                self._known.add(row[1])

    def _stand(self, frame: Frame) -> None:
        """Take the state after a superstep."""
        values = dict(self._at.values)
        values.pop(TASKS, None)
        for channel, data in frame.kept.items() if self._needs_state else ():
            value, start = decode_value(self.codec, channel, data), frame.starts.get(channel)
            values[channel] = value if start is None else [*values[channel][:start], *value]
        for channel in frame.gone:
            values.pop(channel, None)
        more = frame.more
        self._at = Checkpoint(
            frame.id, more.get("parent"), frame.step, frame.source, values, {}, {}, None, None, more.get("ts", "")
        )
        self._ctx.stop = more.get("stop", 0)
        self._tasks = {}
        if self._needs_tasks:
            sends = values.get(TASKS) or ()
            tasks = [
                Task(self._node(send.node), (PUSH, n, False), (PUSH,), self._at, "", send.arg, timeout=send.timeout)
                for n, send in enumerate(sends)
            ]
            names = more.get("next", ())
            tasks += [Task(node, (PULL, node.name), node.triggers, self._at) for node in map(self._node, names)]
            self._tasks = {task.id: task for task in tasks}

    def _following(self, frame: Frame, pending: Mapping[str, Sequence[Write]]) -> None:
        tasks = [*self._tasks.values()]
        if self._streams.checkpoints and "parent" in frame.more:
            chunk = checkpoint_chunk(
                self.program,
                self._at,
                tasks,
                config=self._config_at(frame.id),
                parent_config=self._config_at(self._at.parent) if self._at.parent else None,
                metadata=frame.more.get("meta") or {"source": frame.source, "step": frame.step, "parents": {}},
                pending=pending,
                states=self._state_of,
            )
            self._streams.planned(frame.step, chunk)
        if frame.more.get("run"):
            self._streams.started(tasks)

    def _config_at(self, checkpoint_id: str) -> dict[str, Any]:
        configurable = {**self._ctx.config["configurable"], "checkpoint_ns": "", "checkpoint_id": checkpoint_id}
        return {"configurable": configurable}

    def _state_of(self, task: Task) -> Any:
        if not keeps_state(task.node.subgraph):
            return None
        thread = self._ctx.config["configurable"].get("thread_id")
        return {"configurable": {"thread_id": thread, "checkpoint_ns": task.checkpoint_ns}}

    # ------------------------------------------------------------- tasks

    def _settle(self, row: Sequence[Any], errors: Mapping[str, Any]) -> None:
        task_id, hidden, found = row[1], row[3], row[4]
        task, writes = self._task(row), [(c, v) for c, v in found]
        error = errors.get(task_id) or next((v for c, v in writes if c == ERROR), None)
        if isinstance(error, dict):
            self._streams.failed(task, rebuild(error))
        elif not hidden:
            self._streams.settled(task, writes, cached=any(c == CACHED for c, _ in writes))

    def _task(self, row: Sequence[Any]) -> Task:
        name, task_id, path = row[:3]
        known = self._tasks.get(task_id)
        if known is not None:
            return known
        node = self._node(name)
        task = Task(node, tuple(path), (PUSH,) if path[0] == PUSH else node.triggers, self._at)
        task._id = task_id
        return task

    def _node(self, name: str) -> Node:
        known = self.program.nodes.get(name)
        return known if known is not None else Node(name, (), (), None, _no_writes)

    # ------------------------------------------------------------- the end

    def _end(self, status: str, error: Any, asked: Sequence[Any], more: Mapping[str, Any] | None = None) -> None:
        self.ended = (status, error)
        for row in (more or {}).get("rows", ()):
            if row[1] not in self._known:
                self._settle(row, {})
        self._known.clear()
        if status != "interrupted":
            return
        if more is None:
            self._asked([question for task in asked for question in task])
            return
        if more["after"]:
            after = {channel: self.codec.decode(data) for channel, data in more["after"].items()}
            if not self._wanted.isdisjoint(after):
                self._streams.state(self._at._replace(values={**self._at.values, **after}))
        if not any(asked):
            self._streams.breakpoint()

    def _asked(self, asked: Sequence[Any]) -> None:
        """Of a release that kept the questions alone."""
        self._streams.send("updates", {INTERRUPT: tuple(asked)})
        if asked:
            self._streams.send("values", asked_values(self.program, self._at, self._keys, tuple(asked)))

    # ------------------------------------------------------------- what nodes tell while they run

    def _live(self, mode: str, ns: Sequence[str], payload: Any, task: str, attempt: str, name: str = "") -> None:
        if name and self._had_before((*ns, mode, name)):
            return
        if mode == "messages":
            self._saw(payload[0])
        # What has a name is settled, though it is told at once.
        self._hand_out(tuple(ns), mode, payload, *(("", "") if name and not ns else (attempt, task)))

    def _of_nested(self, attempt: Sequence[Any], chunks: Iterable[Any]) -> None:
        """What was settled in a nested graph. Who goes on there after another's death tells again where it stands."""
        for ns, mode, key, payload in chunks:
            if self._had_before((*attempt, *ns, mode, key)):
                continue
            if mode == "messages":
                self._saw(payload[0])
            self._hand_out(tuple(ns), mode, payload)

    def _saw(self, told: Any) -> None:
        """Readers know this message, or the one that this piece begins."""
        if isinstance(told, dict) and told.get("event") == "message-start":
            self._ctx.seen.add(begun_by(told))
        self._ctx.seen.update(message_id(message) for message in messages_in([told]))

    def _had_before(self, name: tuple[Any, ...]) -> bool:
        had = name in self._nested
        self._nested[name] = None
        if len(self._nested) > MOST_TOLD:
            self._nested.popitem(last=False)
        return had

    def _hand_out(self, ns: tuple[str, ...], mode: str, payload: Any, attempt: str = "", task: str = "") -> None:
        if ns and not self.nested:
            return
        if mode == "debug":
            payload = _with_error(payload)
            part = "checkpoints" if payload["type"] == "checkpoint" else "tasks"
            if part in self.modes:
                self._out.append(Told(ns, part, payload["payload"], attempt, task))
        if mode in self.modes:
            self._out.append(Told(ns, mode, payload, attempt, task))


def _with_error(payload: Any) -> Any:
    """A debug payload of a nested graph, with the exception that was stored as data."""
    inner = payload["payload"]
    if payload["type"] == "task_result" and isinstance(inner["error"], dict):
        return {**payload, "payload": {**inner, "error": rebuild(inner["error"])}}
    return payload


def _no_writes(output: Any) -> list[Write]:
    return []


def outline(name: str, about: Mapping[str, Any]) -> Program:
    """What a client knows of a graph whose code it does not have: enough to read its log. See ``Served.about``."""
    streamed, shown = about.get("streamed", ()), about.get("shown", {})
    streamed = streamed if isinstance(streamed, str) else tuple(streamed)
    nodes = {}
    for node, (reads, triggers, more) in shown.items():
        reads = streamed if reads is None else reads if isinstance(reads, str) else tuple(reads)
        more = {**more, "tags": tuple(more.get("tags", ()))}
        nodes[node] = Node(node, tuple(triggers), reads, None, _no_writes, **more)
    keys = {streamed} if isinstance(streamed, str) else set(streamed)
    for known in nodes.values():
        keys |= {known.reads} if isinstance(known.reads, str) else set(known.reads)
    channels: dict[str, Any] = {key: LastValue(Any) for key in sorted(keys)}
    return make_program(name, nodes, channels, inputs=(), outputs=streamed, streamed=streamed)
