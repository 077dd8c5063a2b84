"""A graph bound to a cluster: the methods of a compiled graph, run by workers."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

from distgraph.cluster.batch import Batch
from distgraph.cluster.crossing import packed, packed_options
from distgraph.cluster.going_on import go_on
from distgraph.cluster.handle import RunHandle
from distgraph.cluster.hints import RunHint
from distgraph.cluster.limits import limit_fields
from distgraph.cluster.options import PLACEMENTS, RETRIES, Keep, Retention, options_from
from distgraph.cluster.outside import for_head
from distgraph.cluster.pump import pumped, waited
from distgraph.cluster.shelves import shelf_of
from distgraph.cluster.submission import submit as submit_batch
from distgraph.cluster.turns import CANCELLED, arrive, check_strategy
from distgraph.config import check_id, ensure_config
from distgraph.constants import COPY, INTERRUPT
from distgraph.engine.request import Request
from distgraph.errors import AlreadyResumedError, ConfigError, EmptyInputError, GraphNotFoundError, InvalidUpdateError
from distgraph.graph.calls import RunOptions as CallOptions
from distgraph.graph.calls import prepare
from distgraph.graph.compiled import CompiledGraph
from distgraph.graph.contexts import shape_context
from distgraph.graph.declarations import DEFAULT_NAME
from distgraph.graph.storable import why_unreachable
from distgraph.ledger.replies import Address
from distgraph.superstep.identity import digest_of
from distgraph.types import Command, MultitaskStrategy

if TYPE_CHECKING:
    from distgraph.cluster.client import Cluster
    from distgraph.graph.profiling import Profile

Chunk = tuple[tuple[str, ...], str, Any]


class NamedGraph:
    """A graph known by its name alone: what can be done without its code."""

    def __init__(self, cluster: Cluster, name: str, fingerprint: str, placement: str, codec: Any) -> None:
        if placement not in PLACEMENTS:
            raise ConfigError(f"placement {placement!r} does not exist. Use one of {', '.join(PLACEMENTS)}.")
        self._cluster, self._placement, self._codec = cluster, placement, codec
        self._fingerprint = fingerprint
        self.name = name

    def submit(
        self,
        input: Any,
        config: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        context: Any = None,
        keep: Keep = "all",
        log: bool | Literal["full", "pieces"] = True,
        interrupt_before: Any = (),
        interrupt_after: Any = (),
        multitask_strategy: MultitaskStrategy = "reject",
        retention: Retention = "default",
        retry_budget: int | None = RETRIES,
        time_limit: timedelta | float | None = None,
        profile: bool = False,
    ) -> RunHandle:
        """Put a run on the ledger and return at once.

        Args:
            input: the run's input; None goes on with the thread.
            config: ``configurable.thread_id`` names the thread; without one the run has a thread of its own.
            run_id: names the run: the same call again gives the same run, however often it is made.
            context: what nodes see as ``runtime.context``.
            keep: "all" checkpoints of the run, or its "latest" alone; or, of all that the thread has, so many of the newest (a
                number; a few more while the run goes on), those made within a timedelta, or a ``CheckpointRetention``.
            log: keep a log of its events, so that ``stream`` can attach from the start; "full" keeps also those of graphs
                nested in its nodes, and the tokens of its models; "pieces" the same for ``stream_events(version="v3")``.
            interrupt_before: nodes to stop before, or "*".
            interrupt_after: nodes to stop after, or "*".
            multitask_strategy: where the thread has an active run: "reject" this one, "enqueue" it, "interrupt" that
                one and go on from where it stood, or "rollback" that one and begin where it had begun. A run that waits
                for an answer is not active: "reject" passes its question over; the others take it for active.
            retention: how long the run is kept after its end, in seconds or as a timedelta; then workers delete it, and
                the checkpoints of a thread of its own. None: for ever. "default": as the cluster's client was told.
            retry_budget: how often tasks of the run may be tried again, all together; where that is used up the next failure
                is its end. None: as often as their retry policies say.
            time_limit: how long the run may take, in seconds or as a timedelta, from when it is first taken; sleeps, retries
                and waiting for a worker in between included, a question to a person not. None: no limit.
            profile: keep the times of its nodes, for ``handle.profile()``.

        Raises:
            GraphNotFoundError, GraphMismatchError: no worker serves this graph, or this version of it.
            RunExistsError: the id is taken by a run with another input.
            ThreadBusyError: the thread has an active run; or runs wait in line there.
            RunError: a rollback has nothing to go back to.
            CodecError: input, context, configurable or metadata hold what cannot travel, or there are callbacks.
            ConfigError: a key that a config does not have, or a field that the context does not have.
        """
        if isinstance(input, Command):
            raise InvalidUpdateError(
                "Runs are submitted with an input: answer a question with handle.resume(value). Commands are for invoke and "
                "stream where the graph itself is bound, cluster.bind(graph), and not its name alone."
            )
        return self._submit(
            input,
            config,
            run_id=run_id,
            strategy=check_strategy(multitask_strategy),
            retention=retention,
            context=context,
            keep=keep,
            log=log,
            before=interrupt_before,
            after=interrupt_after,
            retries=retry_budget,
            time_limit=time_limit,
            profile=profile,
        )

    def _submit(
        self,
        input: Any,
        config: Mapping[str, Any] | None,
        *,
        run_id: str | None = None,
        strategy: str = "reject",
        retention: Retention = "default",
        known: Mapping[str, bytes] | None = None,
        head: str = "",
        **more: Any,
    ) -> RunHandle:
        """``submit``; with ``known``, fields of the record that tell what is known of the tasks after ``head``."""
        retain = self._cluster.retain_ms(retention)
        merged = ensure_config(getattr(self, "config", None), config)
        given_thread = merged.get("configurable", {}).get("thread_id")
        name = str(run_id or merged.get("run_id") or uuid.uuid4())
        thread = str(given_thread) if given_thread is not None else name
        address = Address(check_id("run_id", name), check_id("thread_id", thread))
        if input is None and known is None:
            known, head = for_head(self._cluster.ledger.lines, self._codec, thread)
        more["context"] = self._shaped(more.pop("context", None))
        options = options_from(merged, placement=self._placement, step_timeout=self._step_timeout(), **more)
        fingerprint = self._served_version()
        data, stored = packed(self._codec, input, options, merged)
        fields: dict[str, Any] = {
            "graph": self.name,
            "fp": fingerprint,
            "thread": thread,
            "input": data,
            "config": stored,
        }
        digest = digest_of([self.name, data.hex(), stored.hex(), thread])
        runs, entry = self._cluster.ledger.runs, self._codec.encode(CANCELLED)
        kept = {} if retain is None else {"retain": retain}
        told = {**fields, **kept, **limit_fields(options), **(known or {})}
        answer = self._cluster.gate.put(
            partial(arrive, runs, address, digest, told, strategy=strategy, entry=entry, head=head)
        )
        if answer.kind == "moved":
            raise AlreadyResumedError(
                f"Thread {thread!r} has gone on meanwhile: somebody else has answered what it asked. Look at its state, and "
                "answer what it asks now."
            )
        if answer.kind == "new":
            self._cluster.dispatcher.publish([RunHint(name, thread, self.name, fingerprint)])
        return RunHandle(self._cluster, address, self._codec, getattr(self, "program", None))

    def submit_batch(
        self,
        items: Iterable[Any],
        *,
        batch_id: str | None = None,
        key: str | Callable[[Any], Any] | None = None,
        config: Mapping[str, Any] | None = None,
        context: Any = None,
        retention: Retention = "default",
        retry_budget: int | None = RETRIES,
        time_limit: timedelta | float | None = None,
    ) -> Batch:
        """Put a batch of runs on the ledger; returns when the last item is there, and workers have long begun.

        Args:
            items: inputs, one a run; any iterable, consumed as it is sent. A list or tuple is kept by the handle: what
                a server that is rolled back loses of it is sent again.
            batch_id: names the batch: the same call again, after a death of the submitter too, goes on with it.
            key: names items in the results: a function of the item, or the name of one of its fields.
            config: for all runs; a thread_id in it is not used.
            context: what nodes see as ``runtime.context``.
            retention: how long the batch is kept when all its items are at rest, in seconds or as a timedelta; then
                workers delete it, its results included. None: for ever. "default": as the cluster's client was told.
                Of several calls with one ``batch_id`` the first one's stands.
            retry_budget: how often tasks of an item may be tried again, all together; as ``submit``.
            time_limit: how long each item may take; as ``submit``.

        Raises:
            GraphNotFoundError, GraphMismatchError: no worker serves this graph, or this version of it.
            BatchNotFoundError: the batch of that id is being deleted.
            BatchExistsError: a batch of that id has other content.
            BatchCancelledError: it was cancelled while its items were sent; it holds those that came before.
            BatchLostError: the server was rolled back meanwhile, and items that came from an iterator are lost.
            CodecError: an item cannot be stored.
        """
        merged = ensure_config(getattr(self, "config", None), config)
        options = options_from(
            merged,
            placement=self._placement,
            context=self._shaped(context),
            keep="latest",
            log=False,
            retries=retry_budget,
            time_limit=time_limit,
            step_timeout=self._step_timeout(),
        )
        fingerprint = self._served_version()
        if batch_id is not None:
            check_id("batch_id", batch_id, limit=256)
        stored = packed_options(self._codec, options, merged)
        return submit_batch(
            self._cluster,
            self.name,
            fingerprint,
            self._codec,
            items,
            stored,
            batch_id=batch_id,
            key=key,
            retain_ms=self._cluster.retain_ms(retention),
        )

    def _served_version(self) -> str:
        try:
            return self._cluster.check_served(self.name, self._fingerprint)
        except GraphNotFoundError as exc:
            why = why_unreachable(self) if hasattr(self, "builder") else ""
            raise (GraphNotFoundError(f"{exc}{why}") if why else exc) from None

    def _step_timeout(self) -> Any:
        """That of the graph; of one that is known by name alone, as its workers told."""
        if hasattr(self, "program"):
            return getattr(self, "step_timeout", None)
        served = self._cluster.ledger.fleet.served().get(self.name, {})
        return served.get(self._served_version(), {}).get("step_timeout")

    def _shaped(self, context: Any) -> Any:
        """``context`` as nodes will see it; workers see to that where only the graph's name is known here."""
        return shape_context(getattr(self, "context_schema", None), context, self.name)


class ClusterGraph(CompiledGraph[Any, Any, Any, Any], NamedGraph):
    """A compiled graph whose runs are made by workers; its states are read and changed from here.

    Its ``store`` is the one that its nodes have, and ``clear_cache`` forgets what they have cached.
    """

    def __init__(self, cluster: Cluster, graph: CompiledGraph[Any, Any, Any, Any], placement: str) -> None:
        if not graph.name or graph.name == DEFAULT_NAME:
            raise ConfigError('A graph that workers run needs a name: compile(name="...").')
        self.__dict__.update(graph.__dict__)
        self.on_cluster = True
        NamedGraph.__init__(self, cluster, graph.name, graph.fingerprint, placement, cluster.codec(graph))
        self.checkpointer = cluster.saver(self._codec)
        ledger = cluster.ledger
        self.store, self.cache, _ = shelf_of(graph, ledger.items, ledger.kept, self._codec)

    # --------------------------------------------------- what the engines do for a graph in process

    def _run(self, request: Request) -> tuple[Any, Any]:
        values = self._start(request).result()
        if isinstance(values, dict) and INTERRUPT in values:
            asked = values.pop(INTERRUPT)
            return values, asked
        return values, ()

    def _stream(self, request: Request) -> Iterator[Chunk]:
        last, end = self._log_so_far(request)
        wanted = request.modes, request.output_keys, request.subgraphs
        if last is not None and (request.input is None or isinstance(request.input, Command)):
            # Before anything is changed: it may be this run that goes on.
            last._replay(last._record(), *wanted)
        full = request.subgraphs or not request.modes.isdisjoint(("messages", "tools"))
        handle = self._start(request, log="pieces" if request.pieces else "full" if full else True)
        follower = handle._follower(handle._replay(handle._record(), *wanted))
        if last is not None and handle.run_id == last.run_id:
            follower.behind(end)
        for event in follower.events():
            yield event.ns, event.mode, event.data
        handle.result()

    def _log_so_far(self, request: Request) -> tuple[RunHandle | None, str]:
        """The thread's last run, and the end of its log: one that goes on tells only what comes from now on."""
        thread = (request.config or {}).get("configurable", {}).get("thread_id")
        runs = self._cluster.ledger.runs
        last = runs.last_run(str(thread)) if thread is not None else ""
        if not last:
            return None, "0"
        address = Address(last, str(thread))
        return RunHandle(self._cluster, address, self._codec, self.program), runs.log_end(address)

    def profile(self, input: Any, config: Any = None, **options: Any) -> Profile:
        """Run the graph on workers once and tell where the time went, waiting apart from working.

        Args:
            input: as for ``invoke``.
            config: as for ``invoke``.
            options: ``context``, ``interrupt_before``, ... as for ``stream``.

        Returns:
            As ``RunHandle.profile``, with what the run came to as its ``value``.

        Raises:
            Exception: as ``invoke``.
        """
        context = options.pop("context", None)
        request, _ = prepare(self, input, config, context, "values", "v1", cast(CallOptions, options), None)
        handle = self._start(request, profile=True)
        value = handle.result()
        found = handle.profile()
        found.value = value
        return found

    async def aprofile(self, input: Any, config: Any = None, **options: Any) -> Profile:
        """``profile`` under an event loop."""
        return await waited(lambda: self.profile(input, config, **options))

    async def _arun(self, request: Request) -> tuple[Any, Any]:
        return await waited(lambda: self._run(request))

    async def _astream(self, request: Request) -> AsyncIterator[Chunk]:
        async for chunk in pumped(lambda: self._stream(request)):
            yield chunk

    def _start(self, request: Request, *, log: bool | str = True, profile: bool = False) -> RunHandle:
        """Submit what ``invoke`` or ``stream`` was given: a new run, or the last one of its thread going on."""
        config = self._gone_back(request.config or {})
        thread = config.get("configurable", {}).get("thread_id")
        options: dict[str, Any] = {
            "context": request.context,
            "before": _stops(request.interrupt_before),
            "after": _stops(request.interrupt_after),
            "log": log,
            "profile": profile,
        }
        if request.input is None or isinstance(request.input, Command):
            if thread is None and isinstance(request.input, Command) and request.input.resume is None:
                return self._submit(request.input, config, **options)
            if thread is None:
                raise EmptyInputError("Going on needs config['configurable']['thread_id'] of the thread that waits.")
            return go_on(self, str(thread), request.input, config, options)
        return self._submit(
            request.input, config, strategy=check_strategy(request.multitask_strategy or "reject"), **options
        )

    def _submit(self, input: Any, config: Mapping[str, Any] | None, **more: Any) -> RunHandle:
        return super()._submit(input, self._gone_back(config or {}), **more)

    def _gone_back(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """``config`` for the head of its thread. An earlier checkpoint that it names is made the head again, by a copy."""
        configurable = ensure_config(self.config, config).get("configurable", {})
        wanted = configurable.get("checkpoint_id")
        if not wanted:
            return config
        if self.checkpointer is None:
            raise ConfigError(f"Checkpoint {wanted!r} cannot be gone back to: threads' states are not read here.")
        head = self.checkpointer.get_tuple({"configurable": {**configurable, "checkpoint_id": None}})
        if head is None or head.checkpoint["id"] != wanted:
            self.update_state(cast(Any, config), None, as_node=COPY)
        named = {key: value for key, value in configurable.items() if key not in ("checkpoint_id", "checkpoint_map")}
        return {**config, "configurable": named}


def _stops(stops: Any) -> Any:
    return stops if stops == "*" else tuple(stops or ())


def bind(cluster: Cluster, graph: Any, placement: str) -> Any:
    """See ``Cluster.bind``."""
    if isinstance(graph, str):
        cluster.check_served(graph)
        return NamedInvoker(cluster, graph, "", placement, cluster.codec_of(graph))
    if not hasattr(graph, "program"):
        raise ConfigError(
            f"Cannot bind a {type(graph).__name__}: give a compiled graph (builder.compile(name='...')) or its name."
        )
    return ClusterGraph(cluster, graph, placement)


class NamedInvoker(NamedGraph):
    """A graph known by name, with the two ways of running it that need no code."""

    def invoke(self, input: Any, config: Mapping[str, Any] | None = None, *, context: Any = None) -> Any:
        """Run the graph and return its output; as ``RunHandle.result``."""
        return self.submit(input, config, context=context).result()

    def stream(
        self, input: Any, config: Mapping[str, Any] | None = None, *, context: Any = None, stream_mode: Any = "updates"
    ) -> Iterator[Any]:
        """Run the graph and yield what happens; as ``RunHandle.stream``."""
        return self.submit(input, config, context=context).stream(stream_mode)

    async def ainvoke(self, input: Any, config: Mapping[str, Any] | None = None, *, context: Any = None) -> Any:
        """``invoke`` under an event loop."""
        return await waited(lambda: self.invoke(input, config, context=context))
