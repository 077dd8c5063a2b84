"""The deployment files say what they should, and every command in them exists.

There is no container engine in the test environment: the files are checked against (a strict subset of) the
Compose schema; test_stack.py runs their very commands as processes.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from distgraph.cli.flower_metrics import FleetMetrics
from tests.acceptance.deployment import (
    COMPOSE,
    DOCKERFILE,
    ROOT,
    VARIABLE,
    compose_file,
    environment_of,
    image_command,
    image_health_check,
    instructions,
    interpolate,
)
from workers.settings import PREFIX, Settings

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return compose_file()


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
    assert image_health_check()
    for name, service in compose["services"].items():
        assert "healthcheck" in service or "command" not in service, name  # the image's command, the image's check
        assert name == "redis" or service["depends_on"] == {"redis": {"condition": "service_healthy"}}


def test_a_stop_gives_workers_the_time_to_drain(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]
    drain = float(interpolate(worker["environment"]["DISTGRAPH_DRAIN_TIMEOUT"], {}))
    assert float(worker["stop_grace_period"].removesuffix("s")) > drain


@pytest.mark.parametrize("service", ["worker", "flower"])
def test_the_environment_holds_settings_that_exist(
    compose: dict[str, Any], service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With only the two passwords given, the process reads valid settings: empty variables count as not set.

    What is not a setting is Celery's own, and names a module of ours.
    """
    given = {"DISTGRAPH_PASSWORD": "s3cret", "DISTGRAPH_FLOWER_PASSWORD": "pass"}
    for name, value in environment_of(compose["services"][service], given).items():
        if name == "CELERY_CONFIG_MODULE":
            assert importlib.util.find_spec(value)
            continue
        assert name.removeprefix(PREFIX).lower() in Settings.model_fields
        monkeypatch.setenv(name, value)
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
    """Commands of services, image and health checks: the program, its subcommand, the modules that they name."""
    commands = [service["command"] for service in compose["services"].values() if "command" in service]
    commands += [
        service["healthcheck"]["test"][1:] for service in compose["services"].values() if "healthcheck" in service
    ]
    for command in [*commands, image_command(), image_health_check()]:
        check_command(command)


def check_command(words: list[str]) -> None:
    match words:
        case ["sh", "-c", line]:
            check_command(shlex.split(interpolate(line.removeprefix("exec "), {})))
        case ["celery", "-A", module, subcommand, *_]:
            assert subcommand in celery_commands()
            assert importlib.util.find_spec(module), module
        case ["celery", "--quiet", "flower", option]:
            name, _, path = option.partition("=")
            assert name == "--conf" and (ROOT / path).is_file(), option
        case ["python", "-m", module, *_]:
            assert importlib.util.find_spec(module), module
        case ["valkey-server", "/etc/distgraph/redis.conf", *_] | ["valkey-cli ping | grep -q PONG"]:
            pass  # run for real in test_stack.py
        case _:
            pytest.fail(f"no check for the command {shlex.join(words)}")


def celery_commands() -> set[str]:
    from celery.bin.celery import celery

    return set(celery.commands)


def test_the_dockerfile_is_well_formed() -> None:
    """Known instructions only; what it copies exists and is not ignored; it does not run as root."""
    found = list(instructions())
    known = {"FROM", "WORKDIR", "RUN", "ENV", "COPY", "USER", "STOPSIGNAL", "HEALTHCHECK", "CMD"}
    assert {name for name, _ in found} <= known
    assert found[0][0] == "FROM"
    assert ("USER", "distgraph") in found
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
    ours = set(re.findall(r"\bdistgraph_\w+", expressions))
    told = {metric.name for metric in FleetMetrics(list).collect()}
    assert ours
    assert ours <= told


def test_prometheus_reads_the_rules_and_the_flower_service(compose: dict[str, Any]) -> None:
    config = yaml.safe_load((ROOT / "ops/monitoring/prometheus.yml").read_text())
    assert all((ROOT / "ops/monitoring" / name).is_file() for name in config["rule_files"])
    host, port = config["scrape_configs"][0]["static_configs"][0]["targets"][0].split(":")
    assert any(published.endswith(f":{port}") for published in compose["services"][host]["ports"])
