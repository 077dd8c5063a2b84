"""The streams of a run, for whoever has its handle: this process submitted it, or another one did long ago."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from distgraph.cluster.following import Follower, RunEvent
from distgraph.cluster.options import FULL, RunOptions
from distgraph.cluster.pump import pumped
from distgraph.cluster.replay import Replay, outline
from distgraph.errors import ConfigError
from distgraph.graph.chunks import STREAM_MODES, Shape, modes_of
from distgraph.ledger.replies import Address, Record
from distgraph.ledger.runs import RunLedger
from distgraph.superstep.lifecycle import AT_REST
from distgraph.superstep.model import Program
from distgraph.wire import Codec

if TYPE_CHECKING:
    from distgraph.cluster.client import Cluster
    from distgraph.graph.calls import Modes, Version
    from distgraph.graph.profiling import Profile

#: Entries of a log that are read at a time for a profile.
PAGE = 200


class RunStreams:
    """What a handle can stream."""

    run_id: str
    _cluster: Cluster
    _address: Address
    _codec: Codec
    _program: Program | None
    _runs: RunLedger

    if TYPE_CHECKING:

        def _record(self) -> Record: ...
        def result(self, timeout: float | None = None) -> Any: ...

    def stream(
        self,
        stream_mode: Modes = "updates",
        *,
        subgraphs: bool = False,
        version: Version = "v1",
        from_start: bool = True,
        cursor: str | None = None,
    ) -> Iterator[Any]:
        """What the run does, as it does it: attaches to a run that is going on, or reads one that has ended.

        The chunks are those of ``graph.stream`` in process, in their order. What is settled comes exactly once, whoever
        died meanwhile; what a node told while it ran (``custom``, tokens) comes again if the node is executed again.

        Args:
            stream_mode: one of "values", "updates", "custom", "messages", "tasks", "checkpoints", "debug"; or a list of
                them, whose chunks come as (mode, payload).
            subgraphs: chunks of nested graphs too, each with its namespace. The run must have been submitted with
                ``log="full"``.
            version: "v2" yields every chunk as a dict with "type", "ns" and "data".
            from_start: begin with the run's first event; else with what comes from now on.
            cursor: begin behind the event that had it; see ``events``.

        Raises:
            ConfigError: an unknown mode; a cursor of another stream; or the run keeps no such events.
            EventsTrimmedError: events that were asked for are not kept any more.
            Exception: as ``result``, after the last chunk.
        """
        if version not in ("v1", "v2"):
            raise ConfigError(f"Unknown stream version {version!r}: use 'v1' or 'v2'.")
        modes = modes_of(stream_mode)
        shape = Shape(modes, tagged=not isinstance(stream_mode, str), subgraphs=subgraphs, parts=version == "v2")
        events = self.events(stream_mode, subgraphs=subgraphs, from_start=from_start, cursor=cursor)
        return (part for event in events for part in shape((event.ns, event.mode, event.data)))

    def events(
        self,
        stream_mode: Modes | None = None,
        *,
        subgraphs: bool = False,
        from_start: bool = True,
        cursor: str | None = None,
    ) -> Iterator[RunEvent]:
        """``stream``, each chunk with where it comes from and a cursor.

        Who keeps the cursor of the last event it has dealt with, in a file or a database, goes on there after its death:
        ``events(..., cursor=kept)`` misses nothing and repeats nothing.

        Args:
            stream_mode: as ``stream``; all modes unless told otherwise.
            subgraphs: as ``stream``.
            from_start: as ``stream``.
            cursor: of an event of this run, from a stream of the same modes.

        Raises:
            Exception: as ``stream``.
        """
        record = self._record()
        modes = STREAM_MODES if stream_mode is None else modes_of(stream_mode)
        replay = self._replay(record, modes, None, subgraphs)
        follower = self._follower(replay)
        if cursor is not None:
            follower.cursor(cursor)
        elif from_start:
            follower.start()
        else:
            follower.now()
        return self._followed(follower, replay)

    def _followed(self, follower: Follower, replay: Replay) -> Iterator[RunEvent]:
        yield from follower.events()
        ended = "" if replay.ended is None else replay.ended[0]
        if ended in ("failed", "cancelled") or (ended == "interrupted" and self._record().get("refused")):
            self.result()

    def profile(self) -> Profile:
        """Where the time of the run went, as far as it has come: a run that was submitted with ``profile=True``.

        ``waited`` of nodes and supersteps is how long their tasks could have begun and had not; ``waiting`` how long nobody
        was at the run, from its submission on. Times at rest, waiting for an answer, count nowhere. What a process noted
        and could not tell before it died is missing. Several workers' clocks are laid on the server's, to a millisecond or so.

        Raises:
            ConfigError: the run keeps no times.
            EventsTrimmedError: its first events are not kept any more.
        """
        from distgraph.cluster.profiling import read_profile

        record = self._record()
        options = RunOptions.of(self._codec.decode(record["config"])) if "config" in record else RunOptions()
        if not options.profile:
            raise ConfigError(
                f"Run {self.run_id!r} keeps no times of its nodes. Submit it with profile=True, or let "
                "cluster.bind(graph).profile(...) make the run."
            )
        self._follower(self._replay(record, frozenset({"updates"}), None, False)).start()
        created = int(record["created"]) / 1000
        return read_profile(self._codec, self._entries(), record["graph"].decode(), created)

    def _entries(self) -> Iterator[tuple[str, bytes]]:
        """The run's log as it is now."""
        after = "0"
        while found := self._runs.log(self._address, after, most=PAGE):
            yield from found
            after = found[-1][0]

    async def astream(self, stream_mode: Modes = "updates", **options: Any) -> AsyncIterator[Any]:
        """``stream`` under an event loop, which never waits for the server."""
        async for chunk in pumped(lambda: self.stream(stream_mode, **options)):
            yield chunk

    async def aevents(self, stream_mode: Modes | None = None, **options: Any) -> AsyncIterator[RunEvent]:
        """``events`` under an event loop."""
        async for event in pumped(lambda: self.events(stream_mode, **options)):
            yield event

    # ------------------------------------------------------------- how it is read

    def _replay(self, record: Record, modes: frozenset[str], keys: Any, subgraphs: bool) -> Replay:
        """What reads the run's log.

        Raises:
            ConfigError: the run keeps no log, or none of nested graphs.
        """
        options = RunOptions.of(self._codec.decode(record["config"])) if "config" in record else RunOptions(log=False)
        if not options.log:
            raise ConfigError(
                f"Run {self.run_id!r} keeps no log of its events: items of batches keep none, nor runs submitted with "
                "log=False. Wait for its result, or look at its state."
            )
        if subgraphs and options.log not in FULL:
            raise ConfigError(
                f"Run {self.run_id!r} keeps no events of nested graphs. Submit it with log='full', or stream it from "
                "remote.stream(..., subgraphs=True) on."
            )
        program = self._program or self._cluster.program_of(record)
        if program is None:
            program = outline(record["graph"].decode(), self._cluster.about(record))
        config = options.config(self._address.thread_id)
        return Replay(self._codec, program, config, modes, keys, nested=subgraphs, pieces=options.log == "pieces")

    def _follower(self, replay: Replay) -> Follower:
        return Follower(self._runs, self._address, replay, self._rests)

    def _rests(self) -> bool:
        return self._record()["status"].decode() in AT_REST
