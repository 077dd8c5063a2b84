"""The root: help, global options in any place, errors and exit codes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from distgraph import errors
from distgraph.cli.exits import describe, exit_code
from distgraph.errors import ServerLoadingError, ServerUnreachableError
from tests.unit.cli.conftest import Call

COMMANDS = ["up", "demo", "worker", "flower", "run", "batch", "runs", "graphs", "workers", "check", "doctor", "chaos"]


def test_without_a_command_there_is_help_and_a_usage_error(call: Call) -> None:
    answer = call()
    assert answer.code == 2
    assert "Usage: distgraph" in answer.err


def test_help_names_every_command_and_the_exit_codes(call: Call) -> None:
    answer = call("--help")
    assert answer.code == 0
    for command in COMMANDS:
        assert f"\n  {command}" in answer.out
    assert "75  not now" in answer.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_exit_codes_and_the_global_options(call: Call, command: str) -> None:
    answer = call(command, "--help")
    assert answer.code == 0
    assert "Exit codes:" in answer.out
    for option in ("--url", "--namespace", "--json", "--debug"):
        assert option in answer.out


@pytest.mark.parametrize(
    ("words", "meant"),
    [(["worker", "--graph", "a"], "--graphs"), (["bach"], "batch"), (["batch", "statsu", "x"], "status")],
)
def test_what_is_misspelt_gets_a_suggestion(call: Call, words: list[str], meant: str) -> None:
    answer = call(*words)
    assert answer.code == 2
    assert f"Did you mean '{meant}'?" in answer.err


def test_a_usage_error_is_json_on_request_wherever_the_request_stands(call: Call) -> None:
    for words in (["--json", "bach"], ["batch", "--bad", "--json"], ["--json"]):
        answer = call(*words)
        assert answer.code == 2
        assert answer.error["code"] == "USAGE"


class Seen:
    """Records what a command would connect to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, *told: str) -> Any:
        self.calls.append(told)
        url = told[0]
        raise ServerUnreachableError(f"Nobody answers at {url}.")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ("redis://127.0.0.1:6379/0", "default")),
        (["--url", "redis://a"], ("redis://a", "default")),
        (["--url", "redis://a", "--namespace", "n"], ("redis://a", "n")),
    ],
)
def test_global_options_mean_the_same_before_and_after_the_command(
    call: Call, words: list[str], expected: tuple[str, str]
) -> None:
    seen = Seen()
    call(*words, "batch", "list", connect=seen)
    call("batch", *words, "list", connect=seen)
    call("batch", "list", *words, connect=seen)
    assert seen.calls == [expected] * 3


def test_an_option_wins_over_the_environment_wherever_it_stands(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTGRAPH_URL", "redis://env")
    monkeypatch.setenv("DISTGRAPH_NAMESPACE", "env")
    seen = Seen()
    call("workers", connect=seen)
    call("--url", "redis://a", "workers", connect=seen)
    call("workers", "--url", "redis://a", connect=seen)
    assert seen.calls == [("redis://env", "env"), ("redis://a", "env"), ("redis://a", "env")]


def test_a_broker_of_its_own(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one in the environment belongs to the server there, not to one that an option names."""
    monkeypatch.setenv("DISTGRAPH_BROKER_URL", "redis://broker")
    seen = Seen()
    call("workers", connect=seen)
    call("workers", "--url", "redis://a", connect=seen)
    call("--url", "redis://a", "workers", "--broker-url", "redis://b", connect=seen)
    monkeypatch.setenv("DISTGRAPH_URL", "redis://env")
    call("workers", connect=seen)
    assert seen.calls == [
        ("redis://127.0.0.1:6379/0", "default", "redis://broker"),
        ("redis://a", "default"),
        ("redis://a", "default", "redis://b"),
        ("redis://env", "default", "redis://broker"),
    ]


def test_an_empty_variable_counts_as_not_set_and_is_noted(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTGRAPH_URL", "")
    seen = Seen()
    answer = call("workers", connect=seen)
    assert seen.calls == [("redis://127.0.0.1:6379/0", "default")]
    assert "DISTGRAPH_URL is set but empty" in answer.err


# ------------------------------------------------------------ errors


def test_an_unreachable_server_is_one_clear_line(call: Call) -> None:
    answer = call("workers", connect=Seen())
    assert (answer.code, answer.out) == (3, "")
    assert answer.err == "Error [SERVER_UNREACHABLE]: Nobody answers at redis://127.0.0.1:6379/0.\n"


def test_an_unreachable_server_as_json(call: Call) -> None:
    answer = call("workers", "--json", connect=Seen())
    assert answer.code == 3
    assert answer.json == {
        "error": {"code": "SERVER_UNREACHABLE", "message": "Nobody answers at redis://127.0.0.1:6379/0."}
    }


def test_a_password_in_an_error_is_not_shown(call: Call) -> None:
    answer = call("workers", "--url", "redis://user:hush@db/0", connect=Seen())
    assert "hush" not in answer.err
    assert "db/0" in answer.err


def broken(url: str, namespace: str) -> Any:
    raise ZeroDivisionError("inside")


def test_what_should_not_happen_is_one_line_too(call: Call) -> None:
    answer = call("workers", connect=broken)
    assert answer.code == 1
    assert "Error [INTERNAL]: This should not happen: ZeroDivisionError: inside." in answer.err
    assert "Traceback" not in answer.err


def test_debug_shows_the_traceback_on_standard_error(call: Call) -> None:
    answer = call("workers", "--debug", "--json", connect=broken)
    assert "Traceback (most recent call last)" in answer.err
    assert answer.error["code"] == "INTERNAL"


def test_an_error_in_the_middle_of_a_long_json_answer_keeps_it_valid(call: Call, cluster: Any, items: Any) -> None:
    call("batch", "submit", "double", str(items), "--batch-id", "b1", "--watch")

    def results(ordered: bool = False) -> Any:
        yield cluster.batch("b1").rows[0]
        raise ServerLoadingError("The server is loading.")

    cluster.batch("b1").results = results
    answer = call("batch", "results", "b1", "--json")
    assert answer.code == 75
    assert len(answer.json["results"]) == 1
    assert answer.error["code"] == "SERVER_LOADING"


def _kinds() -> list[type[errors.DistgraphError]]:
    found = [errors.DistgraphError]
    for kind in found:
        found += kind.__subclasses__()
    return sorted(set(found) - {errors.DistgraphError}, key=lambda kind: kind.__name__)


EXPECTED = {
    "ServerUnreachableError": 3,
    "ServerAuthError": 3,
    "ServerTooOldError": 3,
    "ServerSettingError": 3,
    "ServerReadOnlyError": 3,
    "ServerLoadingError": 75,
    "ServerOutOfMemoryError": 75,
    "ThreadBusyError": 75,
    "WaitTimeoutError": 75,
    "CheckpointCorruptError": 4,
    "TamperedDataError": 4,
    "LedgerCorruptError": 4,
    "UntrustedTypeError": 2,
    "GraphNotFoundError": 2,
    "GraphMismatchError": 2,
    "BatchNotFoundError": 2,
    "BatchExpiredError": 2,
    "RunNotFoundError": 2,
    "ResultExpiredError": 2,
    "RunActiveError": 2,
    "BatchExistsError": 2,
    "BatchCancelledError": 2,
    "BatchLostError": 1,
    "RunExistsError": 2,
    "ConfigError": 2,
    "InputError": 2,
    "BatchItemError": 2,
    "GraphRecursionError": 1,
    "RemoteNodeError": 1,
    "RunCancelledError": 1,
    "PoisonTaskError": 1,
    "RoutingError": 1,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_exit_codes_by_kind_of_error(name: str) -> None:
    kind = getattr(errors, name)
    assert exit_code(kind.__new__(kind, "text")) == EXPECTED[name]


@pytest.mark.parametrize("kind", _kinds(), ids=lambda kind: kind.__name__)
def test_every_error_has_an_exit_code_that_is_documented(kind: type[errors.DistgraphError]) -> None:
    assert exit_code(kind.__new__(kind, "text")) in {1, 2, 3, 4, 75}


def test_an_error_keeps_its_stable_code() -> None:
    assert describe(ServerUnreachableError("x")) == ("SERVER_UNREACHABLE", "x")


# ------------------------------------------------------------ as a process


@pytest.mark.parametrize("words", [["--help"], ["batch", "submit", "--help"]])
def test_python_m_distgraph_is_the_same_command_and_quick(words: list[str]) -> None:
    """Help imports none of the heavy libraries."""
    heavy = "redis celery pydantic rich msgpack asyncio"
    code = (
        "import sys; from distgraph.cli import main\n"
        "try: main()\n"
        f"finally: print(*[name for name in '{heavy}'.split() if name in sys.modules], file=sys.stderr)"
    )
    direct = subprocess.run([sys.executable, "-m", "distgraph", *words], capture_output=True, text=True, check=False)
    called = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert direct.returncode == called.returncode == 0
    assert direct.stdout == called.stdout
    assert direct.stdout.startswith("Usage: distgraph")
    assert called.stderr == "\n"


def test_output_that_nobody_reads_any_more_ends_quietly() -> None:
    command = f"{sys.executable} -m distgraph --help | head -c 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("U", "")


@pytest.mark.parametrize(
    "environment", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"TERM": "dumb", "COLUMNS": "20"}]
)
def test_help_works_on_any_terminal(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "distgraph", "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment},
    )
    assert (done.returncode, done.stderr) == (0, "")
