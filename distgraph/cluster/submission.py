"""Putting a batch on the ledger: its manifest, its items chunk by chunk as they come, and the word that these were all."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from distgraph.cluster.batch import Batch
from distgraph.cluster.rows import item_data
from distgraph.cluster.sizes import check_input
from distgraph.errors import BatchCancelledError, BatchExistsError, BatchNotFoundError, InputError
from distgraph.ledger.keys import CHUNK
from distgraph.wire import Codec

if TYPE_CHECKING:
    from distgraph.cluster.client import Cluster


class Submission:
    """What a submitter has told of its batch, and how it is told again.

    Args:
        cluster: where.
        batch_id: the batch's.
        told: graph, version and options.
        codec: of the graph's values.
        items: the inputs. A list or tuple is kept: what the server loses of it can be sent again.
        key: makes names of items.

    Attributes:
        total: how many items it has, once all are sent.
    """

    def __init__(
        self,
        cluster: Cluster,
        batch_id: str,
        told: Mapping[str, Any],
        codec: Codec,
        items: Iterable[Any],
        key: str | Callable[[Any], Any] | None,
    ) -> None:
        self._cluster, self._ledger, self._codec, self._key = cluster, cluster.ledger.batches, codec, key
        self.batch_id, self._told, self._items = batch_id, told, items
        self.total: int | None = None
        #: Digests of the chunks, once all are sent.
        self._sent: list[str] | None = None

    def send(self, manifest: Mapping[str, Any], hint: Callable[[], None]) -> None:
        """Send all items that are not there, and seal the batch.

        Args:
            manifest: the one that stands.
            hint: called now and then: there is something to do.

        Raises:
            BatchNotFoundError, BatchExistsError, BatchCancelledError, CodecError: as ``submit``.
        """
        if manifest["dropped"]:
            raise BatchNotFoundError(
                f"Batch {self.batch_id!r} is being deleted. Submit it in a moment, or with another batch_id."
            )
        if any(manifest[field] != value for field, value in self._told.items()):
            raise BatchExistsError(
                f"Batch {self.batch_id!r} exists with another graph, version or options. Use another batch_id, or delete "
                "that batch."
            )
        digests: list[str] = []
        total, whole = self._add_items(manifest["total"], digests, hint)
        if self._sent not in (None, digests):
            raise self._exists(" (those that were submitted were changed since)")
        content = self._ledger.seal(self.batch_id, total, _content(digests))
        if not content:
            raise BatchNotFoundError(
                f"Batch {self.batch_id!r} is not there any more: it was deleted while its items were sent, or the server "
                "lost it in a roll-back. Submit it again with the same batch_id: items that are still there are not sent "
                "twice."
            )
        if not whole:
            raise self._cancelled(total)
        if content != _content(digests):
            raise self._exists()
        self.total, self._sent = total, digests

    def send_again(self) -> bool:
        """Send again what the server has lost of it. False: the items are not at hand any more, or are others now.

        Raises:
            BatchNotFoundError, BatchExistsError, BatchCancelledError: as ``send``.
        """
        manifest = self._ledger.manifest(self.batch_id)
        if manifest is None or not isinstance(self._items, list | tuple):
            return False
        self.send(manifest, lambda: None)
        return True

    def _add_items(self, sealed: int | None, digests: list[str], hint: Callable[[], None]) -> tuple[int, bool]:
        """Fill ``digests``. How many items are there now; and whether these are all, or the batch was cancelled."""
        source, total = iter(self._items), 0
        while values := list(islice(source, CHUNK)):
            chunk = len(digests)
            packed = [self._packed(value, total + at) for at, value in enumerate(values)]
            digest = hashlib.blake2b(b"".join(packed), digest_size=16).hexdigest()
            if self._sent is not None and digest not in self._sent[chunk : chunk + 1]:
                raise self._exists(f" (items {total} to {total + len(values) - 1} were changed since)")
            # A sealed batch takes no more; those it has are compared.
            more = sealed is not None and total + len(values) > sealed
            if more and total == sealed and "cancelled" in self._ledger.counts(self.batch_id).states:
                return total, False
            add = partial(self._ledger.add, self.batch_id, chunk, digest, packed, due_ms=1000)
            answer = "conflict" if more else self._cluster.gate.put(add)
            if answer == "cancelled":
                return total, False
            if answer == "conflict":
                raise self._exists(f" (the first difference is among items {total} to {total + len(values) - 1})")
            if answer == "new" and chunk % 8 == 0:
                hint()
            digests.append(digest)
            total += len(values)
        return total, True

    def _packed(self, value: Any, index: int) -> bytes:
        try:
            return check_input("The item", item_data(self._codec, _key(self._key, value), value))
        except Exception as exc:
            exc.add_note(f"Item {index} of the batch. The items before it are submitted; the batch is not sealed.")
            raise

    def _exists(self, why: str = "") -> BatchExistsError:
        return BatchExistsError(
            f"Batch {self.batch_id!r} exists with other items{why}. Use another batch_id, or delete that batch."
        )

    def _cancelled(self, total: int) -> BatchCancelledError:
        return BatchCancelledError(
            f"Batch {self.batch_id!r} was cancelled while its items were sent: it holds the {total} that came before, and "
            f"takes no more. cluster.batch({self.batch_id!r}) shows them. To run all, submit the items with another "
            "batch_id, or delete that batch first.",
            batch_id=self.batch_id,
        )


def submit(
    cluster: Cluster,
    graph: str,
    fingerprint: str,
    codec: Codec,
    items: Iterable[Any],
    options: bytes,
    *,
    batch_id: str | None,
    key: str | Callable[[Any], Any] | None,
    retain_ms: int | None,
) -> Batch:
    """Put a batch on the ledger: manifest, items chunk by chunk as they come, seal.

    The same call again with the same id goes on where an earlier one stopped: chunks are known by their digests.

    Raises:
        BatchExistsError: a batch of that id has another graph, options or items; it stays as it is.
        BatchNotFoundError: it is being deleted; or was deleted, or lost by the server, while its items were sent.
        BatchCancelledError: it was cancelled while its items were sent, by this call or one before; it holds those that
            came before, and is sealed.
        BatchLostError: the server was rolled back while items were sent that can be read only once; the same call with
            all of them goes on.
        CodecError: an item cannot be stored; what was submitted before it stays, unsealed.
        StateTooLargeError: an item is larger than is stored; likewise.
        OverloadedError: there is no room; likewise, and the same call goes on later.
    """
    name = batch_id or uuid.uuid4().hex
    told = {"graph": graph, "fp": fingerprint, "config": options.hex()}
    manifest = cluster.ledger.batches.open(name, told, cluster.now_ms(), retain_ms=retain_ms)
    submission = Submission(cluster, name, told, codec, items, key)
    submission.send(manifest, Batch(cluster, name, codec, manifest).hint)
    batch = Batch(cluster, name, codec, manifest, submission)
    # The server may have lost items between the first and the seal.
    if batch.status().total:
        batch.hint()
    return batch


def _content(digests: Sequence[str]) -> str:
    """The digest of all items, of those of their chunks."""
    whole = hashlib.blake2b(digest_size=16)
    for digest in digests:
        whole.update(digest.encode())
    return whole.hexdigest()


def _key(key: Any, value: Any) -> Any:
    if key is None:
        return None
    if callable(key):
        return key(value)
    try:
        return value[key]
    except (KeyError, TypeError) as exc:
        raise InputError(f"The item has no {key!r} to take its key from.") from exc
