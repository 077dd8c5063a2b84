"""``distgraph flower``: Flower on one namespace, closed: loopback, a password, read-only."""

from __future__ import annotations

import importlib.util
import os
import secrets
import sys
from pathlib import Path

import click

from distgraph.cli.exits import EPILOG
from distgraph.cli.options import global_options
from distgraph.cli.ports import FLOWER_PORT, is_free
from distgraph.cli.session import BROKER_VARIABLE, NAMESPACE_VARIABLE, URL_VARIABLE, Session
from distgraph.errors import ConfigError

USER_VARIABLE, PASSWORD_VARIABLE = "DISTGRAPH_FLOWER_USER", "DISTGRAPH_FLOWER_PASSWORD"
PORT_VARIABLE = "DISTGRAPH_FLOWER_PORT"
DEFAULT_USER = "distgraph"


def installed() -> bool:
    """Whether Flower is here; it is an extra."""
    return importlib.util.find_spec("flower") is not None


def configuration() -> Path:
    """The file with Flower's settings."""
    return Path(__file__).with_name("flower_conf.py")


def new_password() -> str:
    """A password for people to copy."""
    return secrets.token_urlsafe(12)


@click.command(epilog=EPILOG)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=FLOWER_PORT,
    show_default=True,
    envvar=PORT_VARIABLE,
    show_envvar=True,
    help="Where it listens, on this machine only.",
)
@global_options
@click.pass_obj
def flower(session: Session, port: int) -> int:
    """Watch workers, runs and nodes in a browser.

    It listens on 127.0.0.1, asks for a password (DISTGRAPH_FLOWER_PASSWORD, or a new one each time, printed once), and
    can only look. To look from another machine, put a proxy with TLS in front of it.
    """
    from distgraph.ledger.url import parse_broker_url, parse_url

    parse_url(session.url)
    if session.broker:
        parse_broker_url(session.broker)
    if not installed():
        raise ConfigError("Flower is not installed here. Install it: pip install 'distgraph[flower]'.")
    if not is_free(port):
        raise ConfigError(f"Port {port} of 127.0.0.1 is in use. Choose another one with --port.")
    user = os.environ.get(USER_VARIABLE) or DEFAULT_USER
    chosen = os.environ.get(PASSWORD_VARIABLE)
    password = chosen or new_password()
    row = {"url": f"http://127.0.0.1:{port}", "user": user, "password": None if chosen else password}
    if session.json:
        session.output.document(row)
    else:
        shown = f"as in {PASSWORD_VARIABLE}" if chosen else password
        session.output.text(f"Flower: {row['url']}  user {user}, password {shown}")
    # Nothing secret on the command line, which every user of the machine can see.
    session.become(
        [sys.executable, "-m", "celery", "--quiet", "flower", f"--conf={configuration()}"],
        {
            URL_VARIABLE: session.url,
            BROKER_VARIABLE: session.broker,
            NAMESPACE_VARIABLE: session.namespace,
            USER_VARIABLE: user,
            PASSWORD_VARIABLE: password,
            PORT_VARIABLE: str(port),
            "CELERY_CONFIG_MODULE": "distgraph.cli.flower_broker",
        },
    )
    return 0
