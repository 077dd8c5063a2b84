"""``distgraph memory``: what takes the server's memory."""

from __future__ import annotations

import click

from distgraph.cli.exits import EPILOG, OK
from distgraph.cli.options import global_options
from distgraph.cli.output import count
from distgraph.cli.session import Session


@click.command(epilog=EPILOG)
@click.option(
    "--top", type=click.IntRange(1, 1000), default=10, show_default=True, help="So many owners, the largest first."
)
@global_options
@click.pass_obj
def memory(session: Session, top: int) -> int:
    """What takes the server's memory: by kind of key, and by batch, run and thread. Walks all keys of the namespace."""
    from distgraph.ledger.usage import usage

    with session.cluster() as cluster:
        found = usage(cluster.ledger.client, cluster.ledger.keys)
        used, limit = cluster.ledger.fleet.memory()
    kinds = [{"kind": kind, "keys": found.keys[kind], "bytes": size} for kind, size in found.bytes.most_common()]
    owners = [{"of": of, "id": name, "bytes": size} for (of, name), size in found.owners.most_common(top)]
    if session.json:
        head = {"bytes": found.total, "server_used": used, "server_limit": limit}
        session.output.document({**head, "kinds": kinds, "owners": owners})
        return OK
    of_limit = f" of {limit:,}" if limit else ""
    session.output.text(
        f"{count(found.total, 'byte')} in {count(found.keys.total(), 'key')}; the server uses {used:,}{of_limit} bytes in all."
    )
    for title, rows in (("By kind of key", kinds), ("The largest", owners)):
        if rows:
            session.output.table(list(rows[0]), [list(row.values()) for row in rows], title=title)
    return OK
