"""Options that every command takes, and the kinds of values that several of them take."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from distgraph.cli.session import DEFAULT_NAMESPACE, DEFAULT_URL, NAMESPACE_VARIABLE, URL_VARIABLE, Session

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


class Attribute(click.ParamType):
    """``package.module:name``."""

    name = "module:attr"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not _ATTRIBUTE.fullmatch(value):
            self.fail(f"{value!r} is not of the form package.module:name, such as workers.graphs:census.", param, ctx)
        return str(value)


class Served(click.ParamType):
    """Modules, or graphs in modules, separated by commas: ``package.module[:name],...``."""

    name = "module[:attr],..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        parts = tuple(part.strip() for part in value.split(",") if part.strip())
        wrong = [part for part in parts if not _SERVED.fullmatch(part)]
        if wrong or not parts:
            shown = repr(wrong[0]) if wrong else "an empty list"
            self.fail(f"{shown} is not of the form package.module or package.module:name.", param, ctx)
        return parts


class PlainNames(click.ParamType):
    """Queue names separated by commas."""

    name = "name,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        parts = tuple(part.strip() for part in value.split(",") if part.strip())
        for part in parts:
            if not _PLAIN.fullmatch(part):
                self.fail(
                    f"{part!r} must be 1 to 64 letters, digits and ._- and begin with a letter or digit.", param, ctx
                )
        return parts


class Pool(click.Choice[str]):
    """The kinds of worker pools; says why others are not among them."""

    def __init__(self) -> None:
        super().__init__(["prefork", "threads", "solo"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in _OTHER_POOLS:
            self.fail(
                f"{value!r} is not supported: {_OTHER_POOLS[value]}. Choose prefork, threads or solo.", param, ctx
            )
        return str(super().convert(value, param, ctx))


#: Slots of one worker.
CONCURRENCY = click.IntRange(1, 1024)
