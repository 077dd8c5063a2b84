"""A graph bound to a cluster: the methods of a compiled graph, run by workers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from distgraph.cluster.batch import Batch
from distgraph.cluster.batch import submit as submit_batch
from distgraph.cluster.events import Replay
from distgraph.cluster.handle import RunHandle
from distgraph.cluster.hints import RunHint
from distgraph.cluster.options import PLACEMENTS, RunOptions, options_from
from distgraph.cluster.registry import check_runnable
from distgraph.config import check_id, ensure_config
from distgraph.constants import INTERRUPT
from distgraph.engine.request import Request
from distgraph.errors import ConfigError, EmptyInputError, InvalidUpdateError, RunExistsError, ThreadBusyError
from distgraph.graph.compiled import CompiledGraph
from distgraph.graph.declarations import DEFAULT_NAME
from distgraph.ledger.replies import Address
from distgraph.superstep.identity import digest_of
from distgraph.types import Command

if TYPE_CHECKING:
    from distgraph.cluster.client import Cluster

Chunk = tuple[tuple[str, ...], str, Any]
#: Stream modes that a run's log has the events for.
STREAMED = frozenset({"values", "updates", "custom"})


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
        keep: str = "all",
        log: bool = True,
        interrupt_before: Any = (),
        interrupt_after: Any = (),
    ) -> RunHandle:
        """Put a run on the ledger and return at once.

        Args:
            input: the run's input; None goes on with the thread.
            config: ``configurable.thread_id`` names the thread; without one the run has a thread of its own.
            run_id: names the run: the same call again gives the same run, however often it is made.
            context: what nodes see as ``runtime.context``.
            keep: "all" checkpoints of the run, or the "latest" alone.
            log: keep a log of its events, so that ``stream`` can attach from the start.
            interrupt_before: nodes to stop before, or "*".
            interrupt_after: nodes to stop after, or "*".

        Raises:
            GraphNotFoundError, GraphMismatchError: no worker serves this graph, or this version of it.
            RunExistsError: the id is taken by a run with another input.
            ThreadBusyError: the thread has an active run.
            CodecError: the input cannot be stored.
        """
        merged = ensure_config(getattr(self, "config", None), config)
        given_thread = merged.get("configurable", {}).get("thread_id")
        name = str(run_id or merged.get("run_id") or uuid.uuid4())
        thread = str(given_thread) if given_thread is not None else name
        address = Address(check_id("run_id", name), check_id("thread_id", thread))
        if isinstance(input, Command):
            raise InvalidUpdateError("submit starts runs: answer a question with handle.resume(value), or use invoke.")
        options = options_from(
            merged,
            placement=self._placement,
            context=context,
            keep=keep,
            log=log,
            before=interrupt_before,
            after=interrupt_after,
        )
        fingerprint = self._cluster.check_served(self.name, self._fingerprint)
        return self._submit(address, fingerprint, self._codec.encode(input), options)

    def _submit(self, address: Address, fingerprint: str, data: bytes, options: RunOptions) -> RunHandle:
        runs = self._cluster.ledger.runs
        config = self._codec.encode(options.plain())
        digest = digest_of([self.name, data.hex(), config.hex(), address.thread_id])
        tied = runs.reserve(address)
        if tied != address.thread_id:
            raise RunExistsError(f"Run id {address.run_id!r} is taken by a run on thread {tied!r}.")
        fields: dict[str, bytes | str | int] = {
            "graph": self.name,
            "fp": fingerprint,
            "thread": address.thread_id,
            "input": data,
            "config": config,
        }
        answer = runs.submit(address, digest, fields, due_ms=1000)
        if answer.kind == "conflict":
            raise RunExistsError(f"Run id {address.run_id!r} is taken by a run with another input. Use another id.")
        if answer.kind == "busy":
            raise ThreadBusyError(
                f"Thread {address.thread_id!r} is busy with run {answer.other!r}. Wait for it, cancel it, or use another "
                "thread.",
                run_id=answer.other,
            )
        if answer.kind == "new":
            hint = RunHint(address.run_id, address.thread_id, self.name, fingerprint)
            self._cluster.dispatcher.publish([hint])
        return RunHandle(self._cluster, address, self._codec)

    def submit_batch(
        self,
        items: Iterable[Any],
        *,
        batch_id: str | None = None,
        key: str | Callable[[Any], Any] | None = None,
        config: Mapping[str, Any] | None = None,
        context: Any = None,
    ) -> Batch:
        """Put a batch of runs on the ledger; returns when the last item is there, and workers have long begun.

        Args:
            items: inputs, one a run; any iterable, consumed as it is sent.
            batch_id: names the batch: the same call again, after a death of the submitter too, goes on with it.
            key: names items in the results: a function of the item, or the name of one of its fields.
            config: for all runs; a thread_id in it is not used.
            context: what nodes see as ``runtime.context``.

        Raises:
            GraphNotFoundError, GraphMismatchError: no worker serves this graph, or this version of it.
            BatchExistsError: a batch of that id has other content.
            CodecError: an item cannot be stored.
        """
        merged = ensure_config(getattr(self, "config", None), config)
        options = options_from(merged, placement=self._placement, context=context, keep="latest", log=False)
        fingerprint = self._cluster.check_served(self.name, self._fingerprint)
        if batch_id is not None:
            check_id("batch_id", batch_id, limit=256)
        return submit_batch(
            self._cluster, self.name, fingerprint, self._codec, items, options, batch_id=batch_id, key=key
        )


class ClusterGraph(CompiledGraph[Any, Any, Any, Any], NamedGraph):
    """A compiled graph whose runs are made by workers; its states are read and changed from here."""

    def __init__(self, cluster: Cluster, graph: CompiledGraph[Any, Any, Any, Any], placement: str) -> None:
        if not graph.name or graph.name == DEFAULT_NAME:
            raise ConfigError('A graph that workers run needs a name: compile(name="...").')
        self.__dict__.update(graph.__dict__)
        NamedGraph.__init__(self, cluster, graph.name, graph.fingerprint, placement, cluster.codec(graph))
        self.checkpointer = cluster.saver(self._codec)

    # --------------------------------------------------- what the engines do for a graph in process

    def _run(self, request: Request) -> tuple[Any, Any]:
        values = self._start(request).result()
        if isinstance(values, dict) and INTERRUPT in values:
            asked = values.pop(INTERRUPT)
            return values, asked
        return values, ()

    def _stream(self, request: Request) -> Iterator[Chunk]:
        unknown = sorted(request.modes - STREAMED)
        if unknown:
            raise ConfigError(
                f"Stream mode {unknown[0]!r} is not kept on a cluster. Use {', '.join(sorted(STREAMED))}."
            )
        keys = request.output_keys if request.output_keys is not None else self.program.streamed
        replay = Replay(self._codec, request.modes, keys if isinstance(keys, str) else tuple(keys))
        last, end = self._log_so_far(request)
        config: Any = request.config
        stood = self.get_state(config).values if last and "values" in request.modes else {}
        handle = self._start(request)
        goes_on = handle.run_id == last
        if goes_on and "values" in request.modes:
            yield (), "values", stood.get(keys) if isinstance(keys, str) else {k: stood[k] for k in keys if k in stood}
        for mode, payload in handle._replayed(replay, end if goes_on else "0"):
            yield (), mode, payload
        handle.result()

    def _log_so_far(self, request: Request) -> tuple[str, str]:
        """The thread's last run, and the end of its log: one that goes on tells only what comes from now on."""
        thread = (request.config or {}).get("configurable", {}).get("thread_id")
        runs = self._cluster.ledger.runs
        last = runs.last_run(str(thread)) if thread is not None else ""
        return last, runs.log_end(Address(last, str(thread))) if last else "0"

    async def _arun(self, request: Request) -> tuple[Any, Any]:
        return await asyncio.to_thread(self._run, request)

    async def _astream(self, request: Request) -> AsyncIterator[Chunk]:
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[Any]()
        stopped = threading.Event()

        def pump() -> None:
            end: Any = None
            try:
                for chunk in self._stream(request):
                    if stopped.is_set():
                        return
                    loop.call_soon_threadsafe(queue.put_nowait, (chunk, None))
            except BaseException as exc:
                end = exc
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(queue.put_nowait, (None, end or StopIteration()))

        thread = threading.Thread(target=pump, name="distgraph-stream", daemon=True)
        thread.start()
        try:
            while True:
                chunk, end = await queue.get()
                if isinstance(end, StopIteration):
                    return
                if end is not None:
                    raise end
                yield chunk
        finally:
            stopped.set()

    def _start(self, request: Request) -> RunHandle:
        """Submit what ``invoke`` or ``stream`` was given: a new run, or the last one of its thread going on."""
        config = request.config or {}
        thread = config.get("configurable", {}).get("thread_id")
        if request.input is None or isinstance(request.input, Command):
            if thread is None:
                raise EmptyInputError("Going on needs config['configurable']['thread_id'] of the thread that waits.")
            going_on = self._go_on(str(thread), request.input)
            if going_on is not None:
                return going_on
        return self.submit(
            request.input,
            config,
            context=request.context,
            interrupt_before=_stops(request.interrupt_before),
            interrupt_after=_stops(request.interrupt_after),
        )

    def _go_on(self, thread: str, given: Any) -> RunHandle | None:
        runs = self._cluster.ledger.runs
        last = runs.last_run(thread)
        if not last:
            return None
        handle = RunHandle(self._cluster, Address(last, thread), self._codec)
        status = handle.status()
        if isinstance(given, Command):
            if given.update is not None or given.goto:
                raise InvalidUpdateError("On a cluster a Command resumes; change the state with update_state first.")
            return handle.resume(given.resume)
        if status == "interrupted":
            return handle.resume(None)
        return handle.retry() if status == "failed" else None


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
    check_runnable(graph)
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
        return await asyncio.to_thread(self.invoke, input, config, context=context)
