"""``run.subgraphs``: the graphs nested in a run, each as a run that can be looked into."""

from __future__ import annotations

from typing import Any

from distgraph.stream.events import ProtocolEvent
from distgraph.stream.lifecycle import End, Nests, Ns, Start, status_of
from distgraph.stream.mux import StreamMux, finished
from distgraph.stream.run_stream import AsyncSubgraphRunStream, SubgraphRunStream, SubgraphStatus
from distgraph.stream.stream_channel import StreamChannel
from distgraph.stream.transformer import StreamTransformer

Handle = SubgraphRunStream | AsyncSubgraphRunStream


class SubgraphTransformer(StreamTransformer):
    """``run.subgraphs``: a run for every graph nested in a node, when it starts; graphs nested in that are in its own.

    Every run has it. As with all projections: subscribe to those of the nested run before the run goes on.
    """

    _native = True
    supports_sync = True
    required_stream_modes = ("tasks",)

    def __init__(self, scope: Ns = ()) -> None:
        super().__init__(scope)
        self._nests = Nests(scope, deep=False)
        self._channel: StreamChannel[Handle] = StreamChannel()
        #: Those that have not ended; nobody but their readers keeps the others.
        self._handles: dict[Ns, tuple[Handle, StreamMux]] = {}
        #: What transformers of nested runs that ended well have failed with.
        self._failures: list[BaseException] = []
        self._mux: StreamMux | None = None

    def init(self) -> dict[str, Any]:
        """The projection."""
        return {"subgraphs": self._channel}

    def registered(self, mux: StreamMux) -> None:
        """Nested graphs get transformers like those of the run."""
        self._mux = mux

    def process(self, event: ProtocolEvent) -> bool:
        """Hand events of nested graphs on to their runs."""
        return finished(self.aprocess(event))

    def finalize(self) -> None:
        """Nested runs end with the run."""
        finished(self.afinalize())

    def fail(self, err: BaseException) -> None:
        """Nested runs fail with the run."""
        finished(self.afail(err))

    async def aprocess(self, event: ProtocolEvent) -> bool:
        """``process`` in async runs."""
        of_task = event["method"] == "tasks"
        if of_task:
            start = self._nests.started(event)
            if start is not None:
                self._open(start)
            for end in self._nests.ended(event):
                await self._close(end)
        child = self._handles.get(tuple(event["params"]["namespace"])[: len(self.scope) + 1])
        if child is not None and not child[1].log.closed:
            await child[1].push(event)
        return not of_task

    def _open(self, start: Start) -> None:
        if self._mux is None:
            return
        mux = self._mux.child(start.ns)
        kind = AsyncSubgraphRunStream if mux.is_async else SubgraphRunStream
        handle: Handle = kind(mux, path=start.ns, graph_name=start.name, trigger_call_id=start.task_id)
        self._handles[start.ns] = handle, mux
        self._channel.push(handle)

    async def _close(self, end: End) -> None:
        found = self._handles.pop(end.ns, None)
        if found is None:
            return
        handle, mux = found
        _ends(handle, end.status, end.error)
        if end.status == "failed":
            failure = RuntimeError(str(end.error))
            failure.__cause__ = end.error if isinstance(end.error, BaseException) else None
            if not mux.log.closed:
                await mux.fail(failure)
            return
        if not mux.log.closed:
            await mux.close()
        if mux.log.error is not None:
            self._failures.append(mux.log.error)

    async def afinalize(self) -> None:
        """``finalize`` in async runs.

        Raises:
            BaseException: a transformer of a nested run has failed now.
        """
        for ns in list(self._handles):
            await self._close(End(ns, "completed"))
        for failure in self._failures:
            raise failure

    async def afail(self, err: BaseException) -> None:
        """``fail`` in async runs."""
        for handle, mux in self._handles.values():
            _ends(handle, *status_of(err))
            if not mux.log.closed:
                await mux.fail(err)
        self._handles.clear()


def _ends(handle: Handle, status: SubgraphStatus, error: Any) -> None:
    handle.status = status
    if error is not None:
        handle.error = str(error)
