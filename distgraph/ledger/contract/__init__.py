"""What the ledger promises: one protocol a part, with the promise of each operation.

There are two kinds of ledger, the scripts on a server (``runs``, ``batches``, ``fleet``, ``items``) and the in-memory twin
(``memory``), written from this page and not from each other; ``tests/conformance/ledger`` holds both to it.

What holds for every operation:

* **Atomic.** An operation that answers is applied whole or not at all. Where one consists of several parts, its
  docstring says so.
* **May be repeated.** A client that lost the reply sends the call again. It is applied once, and answers as the first
  time, as long as nobody else changed what it is about in between. Exceptions are named below ("a repeat ...").
* **Refusals write nothing.**
* **Time** is the ledger's own; no caller's clock is compared with it. Milliseconds since the epoch, or a length in ms.
* **A lease or a claim saves work and never decides**: a zombie's commit is judged by compare-and-set alone.
* Slots are texts without ``|``. Ids of checkpoints sort by age as texts. Nonces of settlements have 16 bytes.
"""

from __future__ import annotations

from distgraph.ledger.contract.batches import Batches
from distgraph.ledger.contract.fleet import Fleet
from distgraph.ledger.contract.items import Items, Kept
from distgraph.ledger.contract.runs import Runs

__all__ = ["Batches", "Fleet", "Items", "Kept", "Runs"]
