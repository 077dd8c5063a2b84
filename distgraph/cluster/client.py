"""The cluster, as a client sees it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

from distgraph.checkpoint.base import BaseCheckpointSaver
from distgraph.checkpoint.redis import RedisSaver
from distgraph.cluster.batch import Batch
from distgraph.cluster.celery.dispatcher import CeleryDispatcher
from distgraph.cluster.dead import DeadLetter, dead_letter, dead_letters, retry
from distgraph.cluster.failing import at_least
from distgraph.cluster.fleet import FailingNode, WorkerInfo, worker_of
from distgraph.cluster.handle import TOLD, RunHandle
from distgraph.cluster.options import RETENTION, Retention, retention_ms, span
from distgraph.cluster.overload import PATIENCE, Gate, Overload
from distgraph.cluster.registry import codec_for
from distgraph.cluster.versions import SHORT, differences
from distgraph.config import check_id
from distgraph.errors import (
    BatchExpiredError,
    BatchNotFoundError,
    ConfigError,
    GraphMismatchError,
    GraphNotFoundError,
    LedgerCorruptError,
    ResultExpiredError,
    RunNotFoundError,
)
from distgraph.ledger.broker import check_broker
from distgraph.ledger.connection import check_server
from distgraph.ledger.keys import split_item
from distgraph.ledger.ledger import Ledger
from distgraph.ledger.replies import Address, Record
from distgraph.ledger.soundness import check_record
from distgraph.store.redis import RedisStore
from distgraph.suggestions import did_you_mean
from distgraph.superstep.lifecycle import RunStatus
from distgraph.superstep.model import Program
from distgraph.types import Placement
from distgraph.wire import Codec

if TYPE_CHECKING:
    from distgraph.cluster.embedded import EmbeddedCluster
    from distgraph.cluster.remote import ClusterGraph

#: Runs whose records are asked for in one round trip.
PORTION = 500


class Cluster:
    """One namespace on one server, with the workers that serve it.

    Make one with ``Cluster.connect`` or ``Cluster.embedded``; safe to share between OS threads.
    """

    def __init__(
        self,
        ledger: Ledger,
        dispatcher: CeleryDispatcher,
        *,
        persistence: str,
        secret: bytes | None,
        overload: str = "wait",
        overload_timeout: float = PATIENCE,
        retention: timedelta | float | None = RETENTION,
    ) -> None:
        self._retain_ms = retention_ms(retention)
        self.gate = Gate(self, overload, overload_timeout)
        self.ledger, self.dispatcher, self.persistence = ledger, dispatcher, persistence
        self._secret = secret
        self._graphs: dict[str, Any] = {}
        self._plain = codec_for(secret=secret)
        self._codecs: WeakKeyDictionary[Any, Codec] = WeakKeyDictionary()

    @classmethod
    def connect(
        cls,
        url: str | None = None,
        *,
        namespace: str | None = None,
        secret: str | bytes | None = None,
        allow_eviction: bool = False,
        overload: Overload = "wait",
        overload_timeout: float = PATIENCE,
        retention: Retention = "default",
        broker_url: str | None = None,
    ) -> Cluster:
        """A client of the cluster at ``url``.

        Args:
            url: ``redis://``, ``rediss://`` or ``unix://``; default: DISTGRAPH_URL.
            namespace: keeps users of one server apart; default: DISTGRAPH_NAMESPACE, else "default".
            secret: signs stored values; the same on every worker and client. Default: DISTGRAPH_SECRET.
            allow_eviction: use a server that may evict keys; work will be lost when it does.
            overload: what a submission does while the server is nearly full, or the queue too long: "wait", or "refuse".
            overload_timeout: seconds that it waits, at most, before it is refused all the same.
            retention: how long runs and batches are kept after their end that are submitted from here and say nothing
                themselves; seconds, a timedelta, or None for ever. Default: DISTGRAPH_RETENTION (as in 12h, 7d, never), else
                7 days.
            broker_url: where hints wait for workers, if that is another server than ``url``; the same on every worker and
                client. Default: DISTGRAPH_BROKER_URL where the URL comes from DISTGRAPH_URL, else the same server. While
                this server is away, what is submitted stands in the ledger, and runs when it is back.

        Raises:
            ConfigError: no URL, or one that is not understood, or of a broker of another kind; a retention that is no length of
                time.
            StoreError: the server cannot be reached, is too old, or has settings that would lose work.
        """
        if not url:
            # A URL that was given names a whole cluster: hints of it are not for another one's broker.
            url = os.environ.get("DISTGRAPH_URL")
            broker_url = broker_url or os.environ.get("DISTGRAPH_BROKER_URL")
        if not url:
            raise ConfigError("No server given: pass redis://host:port/db to Cluster.connect, or set DISTGRAPH_URL.")
        namespace = namespace or os.environ.get("DISTGRAPH_NAMESPACE") or "default"
        key = secret or os.environ.get("DISTGRAPH_SECRET") or None
        if retention == "default":
            told = os.environ.get("DISTGRAPH_RETENTION")
            retention = span(told) if told else RETENTION
        check_broker(broker_url or "", url)
        ledger = Ledger(url, namespace, client_name="distgraph-client")
        report = check_server(ledger.client, where=url, allow_eviction=allow_eviction)
        ledger.fleet.join()
        return cls(
            ledger,
            CeleryDispatcher(url, namespace, broker_url or ""),
            persistence=str(report.persistence or "unknown"),
            secret=key.encode() if isinstance(key, str) else key,
            overload=overload,
            overload_timeout=overload_timeout,
            retention=retention,
        )

    @classmethod
    def embedded(
        cls,
        workers: int = 2,
        graphs: Sequence[str] = ("workers.graphs",),
        *,
        pool: str = "prefork",
        concurrency: int = 1,
        namespace: str = "default",
        persistence: str = "standard",
        flower: bool = False,
    ) -> EmbeddedCluster:
        """A private server with worker processes on this machine, for as long as the ``with`` block lasts.

        Args:
            workers: worker processes.
            graphs: modules, or module:attribute, whose graphs they serve; they must be importable.
            pool: "prefork", "threads" or "solo".
            concurrency: slots of each worker.
            namespace: as ``connect``.
            persistence: "memory", "standard" or "fsync".
            flower: start Flower too.
        """
        from distgraph.cluster.embedded import EmbeddedCluster

        return EmbeddedCluster.start(
            workers=workers,
            graphs=graphs,
            pool=pool,
            concurrency=concurrency,
            namespace=namespace,
            persistence=persistence,
            flower=flower,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. What was submitted goes on."""
        self.ledger.close()
        self.dispatcher.close()

    def retain_ms(self, retention: Retention) -> int | None:
        """How long something that is submitted from here is kept after its end, in milliseconds; None: for ever."""
        return self._retain_ms if retention == "default" else retention_ms(retention)

    @property
    def namespace(self) -> str:
        """The namespace this client works in."""
        return self.ledger.namespace

    # ------------------------------------------------------------- graphs

    def bind(self, graph: Any, *, placement: Placement = "auto") -> ClusterGraph:
        """``graph`` with the same methods, run by workers.

        Args:
            graph: a compiled graph with a name, or the name alone of one that workers serve.
            placement: where nodes run that say nothing themselves: "auto" keeps what is not worth a message with the
                driver, "spread" makes every task its own Celery task, "local" keeps everything with the driver. It
                never changes results.

        Raises:
            ConfigError: the graph has no name, or no such placement.
        """
        from distgraph.cluster.remote import bind

        bound: ClusterGraph = bind(self, graph, placement)
        if not isinstance(graph, str):
            self._graphs[graph.name] = graph
        return bound

    def codec(self, graph: Any = None) -> Codec:
        """The codec of a graph's values, made once: its schemas are walked for that."""
        if graph is None:
            return self._plain
        known = self._codecs.get(graph)
        if known is None:
            known = self._codecs[graph] = codec_for(graph, secret=self._secret)
        return known

    def codec_of(self, name: str) -> Codec:
        """The codec for a graph known by name: its own where it was bound here, else that of plain values."""
        return self.codec(self._graphs.get(name))

    def check_served(self, name: str, fingerprint: str = "") -> str:
        """The fingerprint that is served of a graph.

        Raises:
            GraphNotFoundError: no worker ever served a graph of that name here.
            GraphMismatchError: workers serve another version of it.
        """
        if fingerprint and self.ledger.fleet.is_served(name, fingerprint):
            return fingerprint
        served = self.ledger.fleet.served()
        if name not in served:
            raise GraphNotFoundError(
                f"No worker has ever served a graph named {name!r} in namespace {self.namespace!r}; nothing was submitted."
                f"{did_you_mean(name, served)} Start a worker whose --graphs has it."
            )
        versions = served[name]
        if fingerprint and fingerprint not in versions:
            raise GraphMismatchError(
                f"Workers serve graph {name!r} in version {', '.join(sorted(v[:12] for v in versions))}, yours is "
                f"{fingerprint[:12]}; nothing was submitted. Deploy your code to the workers, or bind the graph they serve."
            )
        if fingerprint:
            return fingerprint
        live = [record["graphs"].get(name) for record in self.ledger.fleet.workers().values()]
        return next((found for found in live if found), sorted(versions)[-1])

    def program_of(self, record: Record) -> Program | None:
        """The program of a run's graph, where this very version of it was bound here."""
        graph = self._graphs.get(record["graph"].decode())
        if graph is None or graph.fingerprint.encode() != record["fp"]:
            return None
        program: Program = graph.program
        return program

    def about(self, record: Record) -> dict[str, Any]:
        """What workers told of the graph of a run's record."""
        served = self.ledger.fleet.served()
        return served.get(record["graph"].decode(), {}).get(record["fp"].decode(), {"streamed": [], "outputs": []})

    def serves(self, name: str, fingerprint: str) -> bool:
        """Whether a worker that lives serves this version of a graph."""
        return any(record["graphs"].get(name) == fingerprint for record in self.ledger.fleet.workers().values())

    def missing(self, name: str, fingerprint: str) -> str:
        """Of a version that no worker serves: which it is, and how the versions that are served now differ from it."""
        known = self.ledger.fleet.served().get(name, {})
        live = {record["graphs"][name] for record in self.ledger.fleet.workers().values() if name in record["graphs"]}
        told = f"version {fingerprint[:SHORT]} of graph {name!r}, which no worker serves now"
        if not live:
            return f"{told}, nor any other version of it"
        others = [
            f"{other[:SHORT]} ({'; '.join(differences(known.get(fingerprint, {}), known.get(other, {})))})"
            for other in sorted(live)
        ]
        return f"{told}; served: {', '.join(others)}"

    def graphs(self) -> list[dict[str, Any]]:
        """The graphs ever served here: name, version, and how many workers serve it now."""
        workers = self.ledger.fleet.workers().values()
        return [
            {
                "name": name,
                "version": fingerprint[:12],
                "workers": sum(record["graphs"].get(name) == fingerprint for record in workers),
            }
            for name, versions in sorted(self.ledger.fleet.served().items())
            for fingerprint in sorted(versions)
        ]

    # ------------------------------------------------------------- workers

    def workers(self) -> list[WorkerInfo]:
        """The workers that live, by name."""
        found = [worker_of(record) for record in self.ledger.fleet.workers().values()]
        return sorted(found, key=lambda worker: (worker.name, worker.pid))

    def failing(self) -> list[FailingNode]:
        """Nodes that do nothing but fail, so that their retries wait longer; those that failed most first."""
        counted = self.ledger.fleet.failing()
        most_first = sorted(counted.items(), key=lambda named: -named[1])
        found = [(name.partition("\n"), number, at_least(number)) for name, number in most_first]
        return [FailingNode(graph, node, number, wait) for (graph, _, node), number, wait in found if wait]

    def unknown_hints(self) -> int:
        """How many hints workers here did not understand, ever: those of another release, which others took."""
        return self.ledger.fleet.counts().get("unknown_hints", 0)

    def slot_count(self) -> int:
        """Slots of all workers that live."""
        return sum(worker.slots for worker in self.workers())

    # ------------------------------------------------------------- runs and batches

    def run(self, run_id: str) -> RunHandle:
        """The run with that id.

        Raises:
            RunNotFoundError: there is none.
            ResultExpiredError: there was one, and its retention is over.
        """
        address = self.ledger.runs.address(check_id("run_id", run_id))
        item = split_item(run_id)
        if address is None and item is not None and (batch := self.find_batch(item[0])) is not None:
            return RunHandle(self, Address(run_id, run_id), self.codec_of(batch.graph))
        if address is None:
            raise self.no_run(run_id)
        graph = self.ledger.runs.record(address).get("graph", b"").decode()
        return RunHandle(self, address, self.codec_of(graph))

    def no_run(self, run_id: str) -> RunNotFoundError:
        """The error that says why there is no such run."""
        expired = self.ledger.runs.expired(run_id)
        if expired is None:
            return RunNotFoundError(
                f"There is no run {run_id!r} in namespace {self.namespace!r}: never submitted here, or deleted since."
            )
        when = datetime.fromtimestamp(expired / 1000, UTC)
        return ResultExpiredError(_expired(f"Run {run_id!r}", when), run_id=run_id, when=when)

    def runs(self, limit: int = 100, *, graph: str | None = None, status: str | None = None) -> list[RunHandle]:
        """The newest runs, newest first; items of batches are not among them.

        Args:
            limit: at most so many.
            graph: only runs of the graph with that name.
            status: only those whose status it is now, "failed" say; one of ``RunStatus``.

        Raises:
            ConfigError: there is no such status.
        """
        if status is not None and status not in [*RunStatus]:
            raise ConfigError(f"There is no status {status!r} of runs.{did_you_mean(status, map(str, RunStatus))}")
        most, seen = limit, -1
        while True:
            addresses = self.ledger.runs.runs(most=most)
            found = list(islice(self._among(addresses, graph, status), limit))
            if len(found) == limit or len(addresses) == seen or (graph is None and status is None):
                return found
            # Those that match may be further back.
            most, seen = most * 4, len(addresses)

    def _among(self, addresses: Sequence[Address], graph: str | None, status: str | None) -> Iterator[RunHandle]:
        for at in range(0, len(addresses), PORTION):
            portion = addresses[at : at + PORTION]
            for address, record in zip(portion, self.ledger.runs.records(portion, TOLD), strict=True):
                name = record.get("graph", b"").decode(errors="replace")
                handle = RunHandle(self, address, self.codec_of(name))
                if graph in (None, name) and (status is None or _status_of(handle, record) == status):
                    yield handle

    def batch(self, batch_id: str) -> Batch:
        """The batch with that id.

        Raises:
            BatchNotFoundError: there is none.
            BatchExpiredError: there was one, and its retention is over.
        """
        found = self.find_batch(check_id("batch_id", batch_id))
        if found is None:
            raise self.no_batch(batch_id)
        return found

    def no_batch(self, batch_id: str) -> BatchNotFoundError:
        """The error that says why there is no such batch."""
        expired = self.ledger.batches.expired(batch_id)
        if expired is None:
            return BatchNotFoundError(
                f"There is no batch {batch_id!r} in namespace {self.namespace!r}: never submitted here, or deleted since."
            )
        when = datetime.fromtimestamp(expired / 1000, UTC)
        return BatchExpiredError(_expired(f"Batch {batch_id!r}", when), batch_id=batch_id, when=when)

    def find_batch(self, batch_id: str) -> Batch | None:
        """The batch with that id, if there is one."""
        manifest = self.ledger.batches.manifest(batch_id)
        return None if manifest is None else Batch(self, batch_id, self.codec_of(manifest["graph"]), manifest)

    def batches(self, limit: int = 100) -> list[Batch]:
        """The newest batches, newest first."""
        found = (self.find_batch(name) for name in self.ledger.batches.ids(most=limit))
        return [batch for batch in found if batch is not None]

    def interrupted(self, limit: int = 1000) -> Iterator[RunHandle]:
        """Runs that wait for an answer: of the newest ``limit`` runs, newest first, and of items of batches at work."""
        yield from (run for run in self.runs(limit) if run.status() is RunStatus.INTERRUPTED)
        for name in self.ledger.batches.active():
            if (batch := self.find_batch(name)) is not None:
                yield from batch.interrupted()

    def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """The newest runs and items of batches that were quarantined for killing their process, newest first."""
        return list(dead_letters(self, limit))

    def dead_letter(self, run_id: str) -> DeadLetter:
        """The dead letter of that run or item.

        Raises:
            RunNotFoundError: it is none.
        """
        return dead_letter(self, run_id)

    def retry_dead_letter(self, letter: DeadLetter) -> None:
        """Give a dead letter three more chances: it goes on where it died."""
        retry(self, letter)

    def saver(self, codec: Codec) -> BaseCheckpointSaver[str] | None:
        """Reads and writes the lines of checkpoints of this cluster's threads, from here."""
        return RedisSaver(self.ledger.url, namespace=self.namespace, codec=codec)

    @property
    def store(self) -> RedisStore:
        """The store that nodes on this cluster have whose graphs bring none that processes can share."""
        return RedisStore.over(self.ledger.items, self._plain)

    def pause(self, seconds: float) -> None:
        """Wait a moment for workers to do something; whoever waits for a result calls it between two looks."""
        time.sleep(seconds)

    def now_ms(self) -> int:
        """This client's clock, milliseconds since the epoch; for people, never compared with a worker's."""
        return int(time.time() * 1000)


def _expired(what: str, when: datetime) -> str:
    return (
        f"{what} has expired: it was kept until {when:%Y-%m-%d %H:%M:%S} UTC. Submit with a longer retention to keep "
        "results longer."
    )


def _status_of(handle: RunHandle, record: Record) -> str:
    try:
        check_record(handle.run_id, record)
        return handle.status_of(record)
    except LedgerCorruptError:
        # Of one that is damaged nobody can say; the others are to be found all the same.
        return ""
