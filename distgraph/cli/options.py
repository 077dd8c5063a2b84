"""Options that every command takes, and the kinds of values that several of them take."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from distgraph.cli.session import DEFAULT_NAMESPACE, DEFAULT_URL, NAMESPACE_VARIABLE, URL_VARIABLE, Session
from distgraph.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

_NAME = r"[A-Za-z]\w*|_[A-Za-z0-9]\w*"  # not what begins with two underscores
_ATTRIBUTE = re.compile(rf"(?:{_NAME})(?:\.(?:{_NAME}))*:(?:{_NAME})", re.ASCII)
_SERVED = re.compile(rf"(?:{_NAME})(?:\.(?:{_NAME}))*(?::(?:{_NAME}))?", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

#: What people ask for that exists elsewhere, and why it does not here.
_OTHER_POOLS = {
    "gevent": "nodes are plain Python and would block its one OS thread; use threads for nodes that wait",
    "eventlet": "nodes are plain Python and would block its one OS thread; use threads for nodes that wait",
    "processes": "that is called prefork here",
}


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep a global option in the session; a later place on the command line wins over an earlier one."""
    if value:
        setattr(context.ensure_object(Session), str(parameter.name), value)


def _globals(*, with_environment: bool) -> list[Callable[[F], F]]:
    # Only the outermost place reads the environment, or it would win over an option given before the command.
    def variable(name: str) -> dict[str, Any]:
        return {"envvar": name, "show_envvar": True} if with_environment else {}

    common: dict[str, Any] = {"expose_value": False, "callback": _remember}
    return [
        click.option(
            "--url", metavar="URL", help=f"Server. [default: {DEFAULT_URL}]", **common, **variable(URL_VARIABLE)
        ),
        click.option(
            "--broker-url",
            metavar="URL",
            help="Where messages wait for workers. [default: DISTGRAPH_BROKER_URL where the server is not named here, else the "
            "server]",
            **common,
        ),
        click.option(
            "--namespace",
            metavar="NAME",
            help=f"Separates users of one server. [default: {DEFAULT_NAMESPACE}]",
            **common,
            **variable(NAMESPACE_VARIABLE),
        ),
        click.option("--json", is_flag=True, help="Write JSON to standard output, also on errors.", **common),
        click.option("--debug", is_flag=True, help="Show the traceback of an error.", **common),
    ]


def root_options(command: F) -> F:
    """The global options, where they may also come from the environment."""
    for option in reversed(_globals(with_environment=True)):
        command = option(command)
    return command


def global_options(command: F) -> F:
    """The global options after a subcommand: they mean the same there."""
    for option in reversed(_globals(with_environment=False)):
        command = option(command)
    return command


def named() -> bool:
    """Whether a server was named on this command line: a variable that is set somewhere is not meant for those that ask."""
    context: click.Context | None = click.get_current_context()
    while context is not None:
        if context.get_parameter_source("url") is ParameterSource.COMMANDLINE:
            return True
        context = context.parent
    return False


def refuse_url(instead: str) -> None:
    """For commands that start a server of their own.

    Raises:
        click.UsageError: another one was named.
    """
    if named():
        raise click.UsageError(f"This starts a server of its own, and takes no --url. {instead}")


def attribute(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Callback of an argument ``package.module:name``."""
    if not _ATTRIBUTE.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not of the form package.module:name, such as workers.graphs:census.")
    return value


def served(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Callback of an option that names modules, or graphs in modules: ``package.module[:name],...``."""
    if value is None:
        return None
    parts = _parts(value)
    wrong = [part for part in parts if not _SERVED.fullmatch(part)]
    if wrong or not parts:
        shown = repr(wrong[0]) if wrong else "an empty list"
        raise click.BadParameter(f"{shown} is not of the form package.module or package.module:name.")
    return parts


def plain_names(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """Callback of an option that names queues: ``name,...``."""
    parts = _parts(value)
    for part in parts:
        if not _PLAIN.fullmatch(part):
            problem = "must be 1 to 64 letters, digits and ._- and begin with a letter or digit"
            raise click.BadParameter(f"{part!r} {problem}.")
    return parts


def _parts(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def length_of_time(context: click.Context, parameter: click.Parameter, value: str | None) -> float | str | None:
    """Callback of an option that says how long something is kept: seconds; None for ever; "default" if it was not given."""
    if value is None:
        return "default"
    from distgraph.cluster.options import span

    try:
        return span(value)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None


def _time_limit(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    found = length_of_time(context, parameter, value)
    if isinstance(found, str):
        return None
    if found is None or found <= 0:
        raise click.BadParameter(
            f"{value!r} is no limit. Write how long, as in 45s or 30m; without the option there is none."
        )
    return found


def _retry_budget(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    from distgraph.cluster.options import RETRIES

    if value is None:
        return RETRIES
    if value == "unlimited":
        return None
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise click.BadParameter(f"{value!r} is no number of retries. Write one from 0, or unlimited.")
    return int(value)


def limit_words(options: Mapping[str, Any]) -> list[str]:
    """The words of a command line that say the limits in ``options`` again."""
    from distgraph.cluster.options import RETRIES

    words = []
    if (seconds := options["time_limit"]) is not None:
        words += ["--time-limit", f"{seconds:.6f}".rstrip("0").rstrip(".")]
    if (budget := options["retry_budget"]) != RETRIES:
        words += ["--retry-budget", "unlimited" if budget is None else str(budget)]
    return words


def _pool(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value in POOLS:
        return value
    why = f" is not supported: {_OTHER_POOLS[value]}" if value in _OTHER_POOLS else " is no pool"
    raise click.BadParameter(f"{value!r}{why}. Choose prefork, threads or solo.")


POOLS = ("prefork", "threads", "solo")
#: Slots of one worker.
CONCURRENCY = click.IntRange(1, 1024)


def pool_option(command: F) -> F:
    """``--pool``, which says why a pool that people ask for is not among them."""
    text = "prefork: CPU-bound nodes, and nodes that may hang. threads: nodes that wait. solo: one slot."
    shape = f"[{'|'.join(POOLS)}]"
    return click.option("--pool", metavar=shape, default="prefork", show_default=True, callback=_pool, help=text)(
        command
    )


def retention_option(command: F) -> F:
    """``--retention``: how long what is submitted is kept."""
    text = (
        "Keep it so long after its end, as in 12h or 7d, or never to delete it. [default: DISTGRAPH_RETENTION, else 7d]"
    )
    return click.option("--retention", metavar="TIME", callback=length_of_time, help=text)(command)


def limit_options(command: F) -> F:
    """``--time-limit`` and ``--retry-budget``: what a run, or each item of a batch, may take."""
    budget = (
        "How often its tasks may be tried again, all together, or unlimited: as often as their retry policies say. "
        "[default: 10000]"
    )
    options = (
        click.option(
            "--time-limit",
            metavar="TIME",
            callback=_time_limit,
            help="End it with an error when it takes longer, as in 45s or 2h, from when a worker first takes it.",
        ),
        click.option("--retry-budget", metavar="N", callback=_retry_budget, help=budget),
    )
    for option in reversed(options):
        command = option(command)
    return command
