"""``distgraph doctor``: whether a server is fit, and how safe data are on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from distgraph.cli.exits import EPILOG, FAILED, OK, USAGE, exit_code_of
from distgraph.cli.options import global_options
from distgraph.cli.output import count
from distgraph.cli.session import Session
from distgraph.errors import StoreError

if TYPE_CHECKING:
    from distgraph.ledger.doctor import Finding


@click.command(epilog=EPILOG)
@click.option("--deep", is_flag=True, help="Walk all keys of the namespace for what no run, batch or thread owns.")
@global_options
@click.pass_obj
def doctor(session: Session, deep: bool) -> int:
    """Look at the server: version, persistence, memory, access; at limits that are not kept, and nodes that only fail.

    A broker on a server of its own is looked at too. Every finding says what to do.
    """
    from distgraph.ledger.url import redact

    findings = [*session.diagnose(session.url)]
    if not any(finding.level == "error" for finding in findings):
        findings += _limits(session) + _failing(session)
        if deep:
            findings += _left_behind(session)
    looked = {session.url: findings}
    if session.broker not in ("", session.url):
        looked[session.broker] = [*session.diagnose_broker(session.broker)]
    code = _exit_code([finding for found in looked.values() for finding in found])
    if session.json:
        document: dict[str, object] = {"url": redact(session.url), "ok": code == OK, "findings": findings}
        for url in [*looked][1:]:
            document["broker"] = {"url": redact(url), "findings": looked[url]}
        session.output.document(document)
    else:
        _show(session, looked)
    return code


def _limits(session: Session) -> list[Finding]:
    """Workers here that cannot keep the time limits of what they serve, as findings."""
    from distgraph.ledger.doctor import Finding

    return [
        Finding(
            "warn",
            "limits",
            f"Worker {record['name']} (pool {record['pool']}) cannot stop a node: the time limits of {', '.join(nodes)} in "
            f"graph {graph!r} are looked at only when the node returns.",
            "Serve this graph with --pool prefork.",
        )
        for record in sorted(session.workers(session.url, session.namespace), key=lambda record: str(record["name"]))
        for graph, nodes in sorted(record.get("unstoppable", {}).items())
    ]


def _failing(session: Session) -> list[Finding]:
    """Nodes here that do nothing but fail, as findings."""
    from distgraph.cluster.failing import at_least
    from distgraph.ledger.doctor import Finding

    return [
        Finding(
            "warn",
            "failing",
            f"Node {name.partition(chr(10))[2]!r} of graph {name.partition(chr(10))[0]!r} does nothing but fail: "
            f"{count(failures, 'failure')} since it last worked. Its retries wait {at_least(failures):.0f} s.",
            "Look at what it calls. The retries go on by themselves when it works again.",
        )
        for name, failures in sorted(session.failing(session.url, session.namespace).items())
        if at_least(failures)
    ]


def _left_behind(session: Session) -> list[Finding]:
    """What has no owner, as findings."""
    from distgraph.ledger.doctor import Finding
    from distgraph.ledger.leaks import leaks

    with session.cluster() as cluster:
        found = leaks(cluster.ledger.client, cluster.ledger.keys)
    if not found:
        return [Finding("ok", "leaks", "Every key of the namespace has its owner.")]
    fix = "Look again in a while: on a ledger at work a key may come before its owner. What stays is a bug: report it."
    return [Finding("warn", "leak", line, fix) for line in found[:100]]


def _exit_code(findings: Sequence[Finding]) -> int:
    """As any other command would end on that server; 1 where it would work, and something is wrong all the same."""
    kinds = {_finding_code(kind): kind for kind in _kinds(StoreError)}
    wrong = [finding.code for finding in findings if finding.level == "error"]
    if "url" in wrong:
        return USAGE
    refused = [exit_code_of(kinds[code]) for code in wrong if code in kinds]
    return refused[0] if refused else FAILED if wrong else OK


def _finding_code(kind: type[StoreError]) -> str:
    return kind.code.lower().replace("_", "-")


def _kinds(kind: type[StoreError]) -> list[type[StoreError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in _kinds(child))]


def _show(session: Session, looked: Mapping[str, Sequence[Finding]]) -> None:
    from distgraph.ledger.url import redact

    output = session.output
    for url, findings in looked.items():
        output.text(redact(url))
        for finding in findings:
            output.text(f"  {finding.level:<5}  {finding.message}")
            if finding.fix:
                output.text(f"         {finding.fix}")
    shown = [finding for findings in looked.values() for finding in findings]
    found = {level: sum(finding.level == level for finding in shown) for level in ("error", "warn")}
    output.text(f"{count(found['error'], 'error')}, {count(found['warn'], 'warning')}.")
