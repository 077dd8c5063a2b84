"""A broker on a server of its own: whether it can be one."""

from __future__ import annotations

import logging

from distgraph.errors import ServerLoadingError, ServerUnreachableError
from distgraph.ledger.check import problems, read_report
from distgraph.ledger.connection import connect
from distgraph.ledger.url import parse_broker_url

log = logging.getLogger(__name__)


def check_broker(url: str, ledger_url: str) -> None:
    """See that a broker on a server of its own can be one. One that is away may come later: only the log says so.

    Args:
        url: the broker's; empty where it has no server of its own.
        ledger_url: the ledger's; where it is the same, there is nothing to see.

    Raises:
        ConfigError: the address is not understood, or of another kind of broker.
        StoreError: it refuses the user, is no Redis, too old, a replica or a cluster.
    """
    if url in ("", ledger_url):
        return
    where = str(parse_broker_url(url))
    client = connect(url, client_name="distgraph-check")
    try:
        # What it throws away is hinted again.
        found = problems(read_report(client, where=where), where=where, allow_eviction=True)
    except ServerUnreachableError as exc:
        log.warning("the broker is away; until it is there, what is due waits in the ledger: %s", exc)
        return
    finally:
        client.close()
    refused = [error for error in found if not isinstance(error, ServerLoadingError)]
    if refused:
        raise refused[0]
