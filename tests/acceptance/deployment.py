"""The deployment files, read as Compose and Docker read them, and their commands as processes of this machine."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "workers" / "Dockerfile"
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<kind>:[-?])(?P<text>[^}]*))?\}")


def compose_file() -> dict[str, Any]:
    """docker-compose.yml, its variables not yet replaced."""
    loaded = yaml.safe_load(COMPOSE.read_text())
    assert isinstance(loaded, dict)
    return loaded


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """Replace ${NAME}, ${NAME:-default} and ${NAME:?message} as Compose does.

    Raises:
        KeyError: a required variable is missing; the argument is the message.
    """

    def value(match: re.Match[str]) -> str:
        given = environment.get(match["name"], "")
        if given or match["kind"] != ":?":
            return given or match["text"] or ""
        raise KeyError(match["text"])

    return VARIABLE.sub(value, text)


def environment_of(service: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """The variables that Compose gives to a service."""
    return {name: interpolate(str(value), given) for name, value in service["environment"].items()}


def instructions() -> Iterator[tuple[str, str]]:
    """The instructions of the Dockerfile: name and rest of the (continued) line."""
    text = re.sub(r"\\\n", " ", DOCKERFILE.read_text())
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            yield name, rest.strip()


def image_command() -> list[str]:
    """What the image runs where nothing else is said."""
    words = json.loads(dict(instructions())["CMD"])
    assert isinstance(words, list)
    return words


def image_health_check() -> list[str]:
    """The command of the image's health check."""
    words = json.loads(dict(instructions())["HEALTHCHECK"].partition("CMD ")[2])
    assert isinstance(words, list)
    return words


def programs(folder: Path) -> str:
    """A PATH on which the image's programs are this interpreter's, as they are in the image."""
    called = {"python": "", "celery": "-m celery"}
    for name, module in called.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {module} "$@"\n')
        script.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def clean_environment() -> dict[str, str]:
    """This process's variables without settings of the developer's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DISTGRAPH_")}


@contextmanager
def process(
    words: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path = ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    """A command in a process group of its own, of which nothing is left at the end of the block."""
    with log.open("wb") as output:
        running = subprocess.Popen(
            list(words), env=dict(env), cwd=cwd, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield running
    finally:
        running.terminate()
        with suppress(subprocess.TimeoutExpired):
            running.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def listeners(port: int) -> set[str]:
    """The addresses on which somebody listens at the port."""
    listening = [found.laddr for found in psutil.net_connections("tcp") if found.status == psutil.CONN_LISTEN]
    return {address[0] for address in listening if address and address[1] == port}
