"""Handing the items of a file over to the cluster: check first, submit then, say what happened either way."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from distgraph.cli import progress
from distgraph.cli.exits import OK, Detached
from distgraph.cli.items import ItemSource, Tally, size_of
from distgraph.cli.keys import item_key
from distgraph.cli.options import limit_words
from distgraph.cli.output import Row, count
from distgraph.cli.session import Session
from distgraph.errors import DistgraphError, InputError

if TYPE_CHECKING:
    from distgraph.cluster import Cluster
    from distgraph.cluster.batch import Batch


def new_id(graph: str) -> str:
    """An id that people can tell apart: the graph, the time, a few random digits."""
    return f"{graph}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


class Submission:
    """One call of ``batch submit``, up to the moment when everything is on the server."""

    def __init__(self, session: Session, source: ItemSource, *, path: str, key: str | None) -> None:
        self._session, self._source, self._path, self._key = session, source, path, key

    def submit(self, cluster: Cluster, graph: str, batch_id: str | None, options: Mapping[str, Any]) -> Batch | None:
        """Submit the items as the batch with this id (None: a new one); None if there are no items.

        ``options`` are those of ``submit_batch`` that the command line names.

        Raises:
            InputError: the file is wrong; nothing was submitted, or the batch was cancelled, as the text says.
            Detached: Ctrl-C was pressed; the text says how to go on.
        """
        remote = cluster.bind(graph)
        total = self._check().items if self._source.checkable else None
        items = self._source.items()
        first = next(items, None)
        if first is None:
            return None
        shown = progress.counted(chain([first], items), "submitting", total)
        key = None if self._key is None else partial(item_key, field=self._key)
        name = batch_id or new_id(graph)
        try:
            handle = remote.submit_batch(shown, batch_id=name, key=key, **options)
        except InputError as error:
            # A batch that the user named may be there since an earlier call, and is not ours to cancel.
            if batch_id is None:
                self._cancel(cluster, name, error)
            raise
        except KeyboardInterrupt:
            raise Detached(self._how_to_go_on(graph, name, limit_words(options))) from None
        self._remarks()
        if not any(graph in worker.graphs for worker in cluster.workers()):
            self._session.output.note(f"Warning: no worker that serves {graph} is alive; the batch waits for one.")
        return handle

    def _check(self) -> Tally:
        try:
            with progress.meter("checking", size_of(self._path)) as shown:
                return self._source.check(lambda tally: shown.show(tally.offset) if tally.items % 256 == 0 else None)
        except KeyboardInterrupt:
            raise Detached("Interrupted while the items were checked; nothing was submitted.") from None

    def _cancel(self, cluster: Cluster, batch_id: str, error: InputError) -> None:
        """A bad line came after items that were handed over: without this they would wait for the rest for ever."""
        with suppress(DistgraphError):
            cluster.batch(batch_id).cancel()
            handed = count(self._source.tally.items, "item")
            error.add_note(f"{handed} came before it; batch {batch_id} was cancelled.")

    def _how_to_go_on(self, graph: str, batch_id: str, limits: list[str]) -> str:
        words = ["batch", "submit", graph, self._path, "--batch-id", batch_id, *limits]
        again = self._session.command(*words, *([] if self._key is None else ["--key", self._key]))
        handed = count(self._source.tally.items, "item")
        return (
            f"Interrupted after {handed}; the batch is not complete. The same call goes on where it stopped:\n  {again}"
        )

    def row(self, handle: Batch) -> Row:
        """What was submitted, for the JSON answer."""
        tally = self._source.tally
        return {
            "batch_id": handle.batch_id,
            "items": tally.items,
            "bad_lines": tally.bad,
            "repeated": tally.repeated,
        }

    def done(self, handle: Batch) -> int:
        """Say that the batch is on its way."""
        output = self._session.output
        if self._session.json:
            output.document(self.row(handle))
            return OK
        output.text(
            f"Batch {handle.batch_id}: {count(self._source.tally.items, 'item')} submitted.",
            f"Follow:   {self._session.command('batch', 'status', handle.batch_id, '--watch')}",
            f"Results:  {self._session.command('batch', 'results', handle.batch_id)}",
        )
        return OK

    def nothing(self) -> int:
        """Say that the file holds no item."""
        self._session.output.note(f"Warning: {self._source.name} holds no items; no batch was made.")
        if self._session.json:
            self._session.output.document({"batch_id": None, "items": 0, "bad_lines": 0, "repeated": 0})
        else:
            self._session.output.text("0 items.")
        return OK

    def _remarks(self) -> None:
        tally, note = self._source.tally, self._session.output.note
        if tally.bad:
            note(f"Warning: {count(tally.bad, 'bad line')} left out:\n  " + "\n  ".join(tally.complaints))
        if tally.repeated:
            note(f"Note: {count(tally.repeated, 'line')} repeated an earlier item, and counted once.")
        if tally.lookalikes:
            note(f"Warning: {count(tally.lookalikes, 'key')} differ from another one only in case or Unicode form.")
