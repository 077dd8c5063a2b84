"""The deployment files say what they should, and every command in them exists.

There is no container engine in the test environment: the files are checked against (a strict subset of) the
Compose schema, and the server runs as a plain process with the very command of the compose file.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import redis
import yaml

from tests.servers import running_server
from workers.settings import PREFIX, Settings

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "workers" / "Dockerfile"
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<kind>:[-?])(?P<text>[^}]*))?\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load(COMPOSE.read_text())
    assert isinstance(loaded, dict)
    return loaded


def interpolate(text: str, environment: dict[str, str]) -> str:
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


def instructions() -> Iterator[tuple[str, str]]:
    """The instructions of the Dockerfile: name and rest of the (continued) line."""
    text = re.sub(r"\\\n", " ", DOCKERFILE.read_text())
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            yield name, rest.strip()


def test_the_file_fits_the_compose_schema(compose: dict[str, Any]) -> None:
    """A misspelt or misplaced key is an error, which Compose itself would only report on somebody's server."""
    schema = json.loads((ROOT / "tests/acceptance/compose-schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    errors = [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(compose)
    ]
    assert errors == []


def test_workers_scale(compose: dict[str, Any]) -> None:
    """`--scale worker=N` works: nothing in the service can exist only once."""
    assert not {"container_name", "ports", "hostname"} & compose["services"]["worker"].keys()


def test_no_password_has_a_default(compose: dict[str, Any]) -> None:
    """Whoever starts the services without a password is told so; nobody runs with one that is public."""
    names = {
        match["name"]: match["kind"] for match in VARIABLE.finditer(COMPOSE.read_text()) if "PASSWORD" in match["name"]
    }
    assert names == {"DISTGRAPH_PASSWORD": ":?", "DISTGRAPH_FLOWER_PASSWORD": ":?"}
    with pytest.raises(KeyError, match="password"):
        interpolate(compose["x-settings"]["DISTGRAPH_URL"], {})


def test_every_service_has_a_health_check_and_starts_after_redis(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert "healthcheck" in service, name
        assert name == "redis" or service["depends_on"] == {"redis": {"condition": "service_healthy"}}


def test_a_stop_gives_workers_the_time_to_drain(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]
    drain = float(interpolate(worker["environment"]["DISTGRAPH_DRAIN_TIMEOUT"], {}))
    assert float(worker["stop_grace_period"].removesuffix("s")) > drain


@pytest.mark.parametrize("service", ["worker", "flower"])
def test_the_environment_holds_settings_that_exist(
    compose: dict[str, Any], service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With only the two passwords given, the process reads valid settings: empty variables count as not set."""
    given = {"DISTGRAPH_PASSWORD": "s3cret", "DISTGRAPH_FLOWER_PASSWORD": "pass"}
    for name, value in compose["services"][service]["environment"].items():
        assert name.removeprefix(PREFIX).lower() in Settings.model_fields
        monkeypatch.setenv(name, interpolate(value, given))
    assert Settings.load().url == "redis://:s3cret@redis:6379/0"


def test_every_variable_is_documented() -> None:
    pages = "".join(page.read_text() for page in (ROOT / "ops/docs").glob("*.md"))
    named = {match["name"] for match in VARIABLE.finditer(COMPOSE.read_text())}
    named |= {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
    assert {name for name in named if name not in pages} == set()


def test_every_mounted_file_exists(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in compose["volumes"]


def test_every_command_exists(compose: dict[str, Any]) -> None:
    """Commands of services and health checks: the program, its subcommand, the modules and files they name."""
    commands = [service["command"] for service in compose["services"].values()]
    commands += [service["healthcheck"]["test"][1:] for service in compose["services"].values()]
    commands += [json.loads(rest[rest.index("[") :]) for name, rest in instructions() if "CMD" in name + rest]
    for command in commands:
        check_command(command)


def check_command(words: list[str]) -> None:
    match words:
        case ["celery", "-A", module, subcommand, *rest]:
            assert subcommand in celery_commands()
            assert importlib.util.find_spec(module), module
            for option in rest:
                name, _, path = option.partition("=")
                assert name == "--conf" and (ROOT / path).is_file(), option
        case ["python", "-m", module, *_]:
            assert importlib.util.find_spec(module), module
        case ["valkey-server", "/etc/distgraph/redis.conf", *_] | ["valkey-cli ping | grep -q PONG"]:
            pass  # run for real by the test below
        case _:
            pytest.fail(f"no check for the command {shlex.join(words)}")


def celery_commands() -> set[str]:
    from celery.bin.celery import celery

    return set(celery.commands)


def test_the_server_runs_with_the_command_of_the_compose_file(compose: dict[str, Any], server_binary: str) -> None:
    """A password is needed, nothing is evicted, every write reaches the append-only file."""
    service = compose["services"]["redis"]
    mounted = dict(volume.split(":")[1::-1] for volume in service["volumes"])
    words = [interpolate(word, {"DISTGRAPH_PASSWORD": "s3cret"}) for word in service["command"][1:]]
    words = [str(ROOT / mounted[word]) if word.endswith(".conf") else word for word in words]
    words.remove("--dir")
    words.remove("/data")  # a folder of the test instead
    with running_server(server_binary, *words) as port:
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis(port=port, password="s3cret", decode_responses=True) as client:
            settings = client.config_get("maxmemory-policy", "appendonly", "appendfsync", "save")
    assert settings == {
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
    }


def test_the_dockerfile_is_well_formed(compose: dict[str, Any]) -> None:
    """Known instructions only; what it copies exists; its command is the worker's; it does not run as root."""
    found = list(instructions())
    known = {"FROM", "WORKDIR", "RUN", "ENV", "COPY", "USER", "STOPSIGNAL", "HEALTHCHECK", "CMD"}
    assert {name for name, _ in found} <= known
    assert found[0][0] == "FROM"
    assert ("USER", "distgraph") in found
    assert json.loads(dict(found)["CMD"]) == compose["services"]["worker"]["command"]
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for name, rest in found:
        if name == "COPY" and not rest.startswith("--from="):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists() and source in allowed, source


def test_the_dockerfile_installs_extras_that_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.search(r"\.\[([\w,]+)\]", DOCKERFILE.read_text())
    assert named and set(named[1].split(",")) <= project["optional-dependencies"].keys()


def test_monitoring_names_metrics_that_flower_has() -> None:
    source = importlib.util.find_spec("flower")
    assert source and source.origin
    exported = (Path(source.origin).parent / "events.py").read_text()
    rules = yaml.safe_load((ROOT / "ops/monitoring/alerts.yml").read_text())
    expressions = " ".join(rule["expr"] for group in rules["groups"] for rule in group["rules"])
    metrics = set(re.findall(r"\bflower_\w+", expressions))
    assert metrics
    assert {name for name in metrics if name.removesuffix("_total") not in exported} == set()


def test_prometheus_reads_the_rules_and_the_flower_service(compose: dict[str, Any]) -> None:
    config = yaml.safe_load((ROOT / "ops/monitoring/prometheus.yml").read_text())
    assert all((ROOT / "ops/monitoring" / name).is_file() for name in config["rule_files"])
    host, port = config["scrape_configs"][0]["static_configs"][0]["targets"][0].split(":")
    assert any(published.endswith(f":{port}") for published in compose["services"][host]["ports"])
