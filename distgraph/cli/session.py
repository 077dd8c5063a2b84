"""What one call of the command line knows: the global options, where output goes, how the cluster is reached."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distgraph.cli.output import Output

if TYPE_CHECKING:
    from distgraph.cli.stage import Settings, Stage
    from distgraph.cluster import Cluster
    from distgraph.ledger.doctor import Finding
    from distgraph.ledger.fleet import FleetLedger

DEFAULT_URL = "redis://127.0.0.1:6379/0"
DEFAULT_NAMESPACE = "default"
URL_VARIABLE, NAMESPACE_VARIABLE = "DISTGRAPH_URL", "DISTGRAPH_NAMESPACE"
BROKER_VARIABLE = "DISTGRAPH_BROKER_URL"


def _connect(url: str, namespace: str, broker_url: str = "") -> Cluster:
    from distgraph.cluster import Cluster

    return Cluster.connect(url, namespace=namespace, broker_url=broker_url)


def _stage(settings: Settings, say: Callable[[str], None]) -> Stage:
    from distgraph.cli.stage import Stage

    return Stage(settings, say)


def _become(command: Sequence[str], env: Mapping[str, str]) -> None:
    sys.stdout.flush()
    os.execve(command[0], list(command), {**os.environ, **env})


def _diagnose(url: str) -> list[Finding]:
    from distgraph.ledger.doctor import diagnose

    return diagnose(url)


def _diagnose_broker(url: str) -> list[Finding]:
    from distgraph.ledger.doctor import diagnose_broker

    return diagnose_broker(url)


def _workers(url: str, namespace: str) -> list[dict[str, Any]]:
    with _fleet(url, namespace) as fleet:
        return list(fleet.workers().values())


def _failing(url: str, namespace: str) -> dict[str, int]:
    with _fleet(url, namespace) as fleet:
        return fleet.failing()


@contextmanager
def _fleet(url: str, namespace: str) -> Iterator[FleetLedger]:
    from distgraph.ledger.ledger import Ledger

    ledger = Ledger(url, namespace, client_name="distgraph-doctor")
    try:
        yield ledger.fleet
    finally:
        ledger.close()


@dataclass
class Session:
    """The state of one call; commands get it with ``@click.pass_obj``.

    Attributes:
        broker_url: of the broker, as an option gave it.
        connect: makes a client of the cluster at a URL, in a namespace, and with a broker if it is another server.
        diagnose: looks at the server at a URL.
        diagnose_broker: looks at the server at a URL that is a broker alone.
        workers: what the workers that live say of themselves, at a URL and in a namespace; writes nothing.
        failing: the failures of nodes there since they last worked; writes nothing.
        stage: makes a private server with workers and Flower; the second argument gets a line for each step.
        become: replaces this process by a command, with variables besides its own.
    """

    url: str = DEFAULT_URL
    namespace: str = DEFAULT_NAMESPACE
    json: bool = False
    debug: bool = False
    broker_url: str = ""
    connect: Callable[..., Cluster] = _connect
    diagnose: Callable[[str], list[Finding]] = _diagnose
    diagnose_broker: Callable[[str], list[Finding]] = _diagnose_broker
    workers: Callable[[str, str], list[dict[str, Any]]] = _workers
    failing: Callable[[str, str], dict[str, int]] = _failing
    stage: Callable[[Settings, Callable[[str], None]], Stage] = _stage
    become: Callable[[Sequence[str], Mapping[str, str]], None] = _become
    _output: Output | None = field(default=None, repr=False)

    @property
    def broker(self) -> str:
        """The broker's URL; empty where it is the server itself."""
        # The one in the environment belongs to the server there, not to one that an option names.
        at_home = self.url == (os.environ.get(URL_VARIABLE) or DEFAULT_URL)
        return self.broker_url or (os.environ.get(BROKER_VARIABLE, "") if at_home else "")

    @property
    def output(self) -> Output:
        """Where this call's answer goes."""
        if self._output is None:
            self._output = Output(json=self.json)
        return self._output

    def cluster(self) -> Cluster:
        """A client of the cluster that the options name."""
        return self.connect(self.url, self.namespace, *filter(None, [self.broker]))

    def command(self, *words: str) -> str:
        """A command line that reaches what this call works on, for the user to copy."""
        from distgraph.ledger.url import redact

        given = list(words)
        if self.url != os.environ.get(URL_VARIABLE, DEFAULT_URL):
            # A password is not repeated on the screen; whoever has it can put it in place of the stars.
            given += ["--url", redact(self.url)]
        if self.broker_url:
            given += ["--broker-url", redact(self.broker_url)]
        if self.namespace != os.environ.get(NAMESPACE_VARIABLE, DEFAULT_NAMESPACE):
            given += ["--namespace", self.namespace]
        return shlex.join(["distgraph", *given])


def import_from_here() -> None:
    """Let modules in the current directory be imported, as ``python -m`` does: the user's graphs are usually there."""
    if not {"", os.getcwd()} & set(sys.path):  # noqa: PTH109 - sys.path holds texts
        sys.path.insert(0, "")


def note_empty_variables() -> None:
    """Say that a variable that is set to nothing counts as not set: a typing error in a script is easy to miss."""
    for name in (URL_VARIABLE, NAMESPACE_VARIABLE):
        if os.environ.get(name) == "":
            sys.stderr.write(f"Note: {name} is set but empty, which counts as not set.\n")
