"""The ledger of one namespace on one server: runs, batches, the fleet, items over one connection."""

from __future__ import annotations

from distgraph.ledger.batches import BatchLedger
from distgraph.ledger.connection import connect
from distgraph.ledger.fleet import FleetLedger
from distgraph.ledger.items import ItemLedger, KeptLedger
from distgraph.ledger.keys import Keys
from distgraph.ledger.lines import LineLedger
from distgraph.ledger.patience import Patience
from distgraph.ledger.runs import RunLedger
from distgraph.ledger.scripts import Scripts


class Ledger:
    """What a process needs of the ledger.

    Args:
        url: the server; nothing is sent yet.
        namespace: whose runs, batches and workers.
        client_name: shown by the server's CLIENT LIST.
        patience: how long results are offered to a server that is away; None: an error tells at once.
    """

    def __init__(
        self,
        url: str,
        namespace: str = "default",
        *,
        client_name: str = "distgraph",
        patience: Patience | None = None,
    ) -> None:
        self.url, self.namespace = url, namespace
        self.client = connect(url, client_name=client_name)
        self.keys = Keys(namespace)
        self.scripts = Scripts(self.client, patience)
        self.runs = RunLedger(self.scripts, self.keys)
        self.batches = BatchLedger(self.scripts, self.keys)
        self.fleet = FleetLedger(self.scripts, self.keys)
        self.lines = LineLedger(self.scripts, self.keys)
        self.items = ItemLedger(self.scripts, self.keys)
        self.kept = KeptLedger(self.scripts, self.keys)

    def close(self) -> None:
        """Close the connections; using it again opens new ones."""
        self.client.close()
