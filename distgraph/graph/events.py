"""``stream_events`` and ``astream_events``, "v2": one flat stream of what starts, tells and ends, as LangChain's tools read it.

It is made of the graph's own stream. A node is a run whose id is its task's, inside the run of its graph.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypedDict
from uuid import uuid4

from distgraph.config import ensure_config
from distgraph.constants import NS_SEP
from distgraph.errors import ConfigError
from distgraph.graph.telling import Told
from distgraph.graph.telling import tellers as tellers_here
from distgraph.superstep.model import Program
from distgraph.warnings import LangGraphDeprecatedSinceV10

if TYPE_CHECKING:
    from distgraph.config import RunnableConfig

Ns = tuple[str, ...]
#: Stream modes that events are made of.
_MODES = ("values", "updates", "custom", "messages", "debug")


class GraphEvent(TypedDict):
    """One event.

    Attributes:
        event: "on_chain_start", "on_chain_stream", "on_chain_end"; "on_chat_model_start", "on_chat_model_stream",
            "on_chat_model_end"; "on_tool_start", "on_tool_end"; or "on_custom_event".
        name: of the graph, the node, the model, the tool, or the event that a node dispatched.
        run_id: of that run: a node's is its task's id.
        parent_ids: of the runs around it, the outermost first.
        data: "input", "chunk" or "output".
    """

    event: str
    name: str
    run_id: str
    parent_ids: list[str]
    tags: list[str]
    metadata: dict[str, Any]
    data: dict[str, Any]


class Wanted:
    """Which events a caller reads: those that a filter names, without those that another one names."""

    def __init__(self, filters: Mapping[str, Sequence[str] | None]) -> None:
        known = {f"{way}_{what}" for way in ("include", "exclude") for what in ("names", "types", "tags")}
        unknown = sorted(set(filters) - known)
        if unknown:
            raise TypeError(f"astream_events() got an unexpected keyword argument {unknown[0]!r}")
        self._filters = {name: frozenset(values) for name, values in filters.items() if values}

    def __call__(self, event: GraphEvent) -> bool:
        """Whether ``event`` is read."""
        kind = next((kind for kind in ("chat_model", "tool") if kind in event["event"]), "chain")
        having = {"names": {event["name"]}, "types": {kind}, "tags": {*event["tags"]}}
        named = [(name.partition("_"), values) for name, values in self._filters.items()]
        included = [not having[what].isdisjoint(values) for (way, _, what), values in named if way == "include"]
        excluded = [not having[what].isdisjoint(values) for (way, _, what), values in named if way == "exclude"]
        return (any(included) or not included) and not any(excluded)


class _Level:
    """One graph that runs: its run, what is around it, and the nodes at work in it."""

    def __init__(
        self,
        name: str,
        program: Program | None,
        run_id: str,
        parents: list[str],
        tags: list[str],
        metadata: Mapping[str, Any],
    ) -> None:
        self.name, self.program, self.run_id, self.parents, self.tags = name, program, run_id, parents, tags
        self.metadata = metadata
        self.input: Any = None
        self.updates: dict[str, list[Any]] = {}
        self.running: dict[str, tuple[GraphEvent, Any]] = {}


class Events:
    """Makes events of a graph's chunks, one run."""

    def __init__(
        self,
        name: str,
        program: Program,
        config: Mapping[str, Any],
        given: Any,
        told: bool = False,
        shown: str = "updates",
    ) -> None:
        #: Models tell of themselves.
        self._told = told
        #: The mode whose chunks are those of the graph's run.
        self._shown = shown
        self._tags = list(config.get("tags") or ())
        self._metadata = {"ls_integration": "langgraph", **(config.get("metadata") or {})}
        root = _Level(name, program, str(config.get("run_id") or uuid4()), [], self._tags, self._metadata)
        root.input = given
        self._levels: dict[Ns, _Level] = {(): root}
        self._output: Any = None

    def start(self) -> GraphEvent:
        """The graph begins."""
        root = self._levels[()]
        return self._event("on_chain_start", root, {"input": root.input})

    def end(self) -> GraphEvent:
        """The graph has ended."""
        return self._event("on_chain_end", self._levels[()], {"output": self._output})

    def of(self, ns: Ns, mode: str, chunk: Any) -> Iterator[GraphEvent]:
        """The events of one chunk."""
        level = self._level(ns)
        if mode == "values" and not ns:
            self._output = chunk
            if self._shown == "values":
                yield self._event("on_chain_stream", level, {"chunk": chunk})
        elif mode == "updates":
            for name, update in chunk.items():
                level.updates.setdefault(name, []).append(update)
        elif isinstance(chunk, Told):
            parents = [*level.parents, level.run_id]
            if chunk.run_id is not None:
                parents.append(chunk.task_id)
            run_id = chunk.run_id or chunk.task_id
            yield _made(chunk.event, chunk.name, run_id, parents, [*chunk.tags], chunk.metadata, chunk.data)
        elif mode == "custom":
            yield self._event("on_custom_event", level, chunk)
        elif mode == "messages" and not self._told and type(chunk[0]).__name__.endswith("Chunk"):
            message, metadata = chunk
            parents = [*level.parents, level.run_id]
            yield _made("on_chat_model_stream", type(message).__name__, "", parents, [], metadata, {"chunk": message})
        elif mode == "debug" and chunk["type"] == "task":
            yield from self._started(ns, level, chunk["step"], chunk["payload"])
        elif mode == "debug" and chunk["type"] == "task_result":
            yield from self._ended(ns, level, chunk["payload"])

    def _level(self, ns: Ns) -> _Level:
        known = self._levels.get(ns)
        if known is None:
            around = self._level(ns[:-1])
            parents = [*around.parents, around.run_id]
            name = ns[-1].partition(":")[0]
            known = self._levels[ns] = _Level(name, None, str(uuid4()), parents, self._tags, around.metadata)
        return known

    def _event(self, kind: str, level: _Level, data: Any) -> GraphEvent:
        return _made(kind, level.name, level.run_id, level.parents, level.tags, level.metadata, data)

    def _started(self, ns: Ns, level: _Level, step: int, task: Mapping[str, Any]) -> Iterator[GraphEvent]:
        name, task_id = task["name"], task["id"]
        own = f"{name}:{task_id}"
        metadata = {
            **self._metadata,
            "langgraph_step": step,
            "langgraph_node": name,
            "langgraph_triggers": task["triggers"],
            "langgraph_checkpoint_ns": NS_SEP.join([*ns, own]),
        }
        tags, parents = [f"graph:step:{step}", *self._tags], [*level.parents, level.run_id]
        event = _made("on_chain_start", name, task_id, parents, tags, metadata, {"input": task["input"]})
        level.running[task_id] = event, task["input"]
        yield event
        node = level.program.nodes.get(name) if level.program is not None else None
        inner = getattr(node, "subgraph", None)
        if inner is not None:
            tags = ["seq:step:1", *self._tags]
            nested = _Level(inner.name, inner.program, str(uuid4()), [*parents, task_id], tags, metadata)
            nested.input = task["input"]
            self._levels[(*ns, own)] = nested
            yield self._event("on_chain_start", nested, {"input": nested.input})

    def _ended(self, ns: Ns, level: _Level, task: Mapping[str, Any]) -> Iterator[GraphEvent]:
        updates, found = level.updates.get(task["name"]), level.running.pop(task["id"], None)
        update = updates.pop(0) if updates else task["result"]
        own = (*ns, f"{task['name']}:{task['id']}")
        nested = self._levels.get(own)
        self._levels = {known: each for known, each in self._levels.items() if known[: len(own)] != own}
        settled = task["error"] is None and not task["interrupts"]
        if found is not None and settled:
            event, given = found
            if nested is not None:
                yield self._event("on_chain_end", nested, {"output": update, "input": nested.input})
            yield {**event, "event": "on_chain_stream", "data": {"chunk": update}}
            yield {**event, "event": "on_chain_end", "data": {"output": update, "input": given}}
        if not ns and settled and self._shown == "updates":
            yield self._event("on_chain_stream", level, {"chunk": {task["name"]: update}})


def _made(
    kind: str, name: str, run_id: str, parents: list[str], tags: list[str], metadata: Mapping[str, Any], data: Any
) -> GraphEvent:
    return GraphEvent(
        event=kind,
        name=name,
        run_id=run_id,
        parent_ids=list(parents),
        tags=list(tags),
        metadata=dict(metadata),
        data=data,
    )


def no_transformers(transformers: Sequence[Any] | None) -> None:
    """Refuse what such a stream has no use for.

    Raises:
        TypeError: there are transformers.
    """
    if transformers:
        raise TypeError("transformers make projections of a run that is read with version='v3': give that version.")


class _Reading:
    """One run that is read as events.

    Raises:
        ConfigError: another version.
        TypeError: a filter that does not exist.
    """

    def __init__(
        self, graph: Any, input: Any, config: RunnableConfig | None, version: str, options: Mapping[str, Any]
    ) -> None:
        if version == "v1":
            text = "astream_events version='v1' is deprecated: these are the events of 'v2'. Give version='v2'."
            warnings.warn(text, LangGraphDeprecatedSinceV10, stacklevel=5)
        elif version != "v2":
            raise ConfigError(f"Events have versions 'v2' and 'v3', not {version!r}. Or read stream(...).")
        self._wanted = Wanted({key: options[key] for key in options if key.startswith(("include_", "exclude_"))})
        # Workers cannot call handlers of this process.
        tellers = [] if graph.on_cluster else tellers_here()
        self.config = ensure_config(config, {"callbacks": tellers}) if tellers else config
        own = {**(graph.config or {}), **(config or {})}
        shown = options.get("stream_mode") or "updates"
        if shown not in ("updates", "values"):
            raise ConfigError(
                f"The chunks of a graph's events are of stream_mode 'updates' or 'values', not {shown!r}."
            )
        self._made = Events(own.get("run_name") or graph.told_as, graph.program, own, input, bool(tellers), shown)
        #: What the filters leave, for ``stream``.
        ours = ("include_", "exclude_", "stream_mode")
        self.options = {key: value for key, value in options.items() if not key.startswith(ours)}

    def begin(self) -> Iterator[GraphEvent]:
        """The first event, if it is wanted."""
        return filter(self._wanted, [self._made.start()])

    def of(self, chunk: tuple[Ns, str, Any]) -> Iterator[GraphEvent]:
        """The events of one chunk that are wanted."""
        return filter(self._wanted, self._made.of(*chunk))

    def end(self) -> Iterator[GraphEvent]:
        """The last event, if it is wanted."""
        return filter(self._wanted, [self._made.end()])


def events_of(
    graph: Any, input: Any, config: RunnableConfig | None, version: str, options: Mapping[str, Any]
) -> Iterator[GraphEvent]:
    """See ``GraphFace.stream_events``."""
    return _told(graph, input, _Reading(graph, input, config, version, options))


def _told(graph: Any, input: Any, reading: _Reading) -> Iterator[GraphEvent]:
    yield from reading.begin()
    for chunk in graph.stream(input, reading.config, stream_mode=_MODES, subgraphs=True, **reading.options):
        yield from reading.of(chunk)
    yield from reading.end()


def aevents_of(
    graph: Any, input: Any, config: RunnableConfig | None, version: str, options: Mapping[str, Any]
) -> AsyncIterator[GraphEvent]:
    """See ``GraphFace.astream_events``."""
    return _atold(graph, input, _Reading(graph, input, config, version, options))


async def _atold(graph: Any, input: Any, reading: _Reading) -> AsyncIterator[GraphEvent]:
    for event in reading.begin():
        yield event
    chunks = graph.astream(input, reading.config, stream_mode=_MODES, subgraphs=True, **reading.options)
    # Who stops reading shall not leave the run's tasks to the garbage collector.
    async with aclosing(chunks):
        async for chunk in chunks:
            for event in reading.of(chunk):
                yield event
    for event in reading.end():
        yield event
