"""Which files there are, and reading them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distgraph.examples.census import corpus

pytestmark = pytest.mark.unit


def test_the_library_of_this_interpreter_has_hundreds_of_modules() -> None:
    items = corpus.items()
    assert 300 < len(items) < 1500
    assert json.loads(json.dumps(items)) == items
    assert [item["module"] for item in items] == sorted({item["module"] for item in items})
    by_name = {item["module"]: item["path"] for item in items}
    assert by_name["json"] == "json/__init__.py"
    assert by_name["json.decoder"] == "json/decoder.py"
    assert not any("site-packages" in path or "/test/" in path for path in by_name.values())


def test_a_limit_takes_a_sample_of_the_whole_library() -> None:
    everything = corpus.items()
    some = corpus.items(10)
    assert len(some) == 10
    assert some[0] == everything[0]
    assert all(item in everything for item in some)
    assert some[5]["module"][0].lower() > "c"  # not just the first ten
    assert corpus.items(10**6) == everything


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library of one's own."""
    monkeypatch.setattr(corpus, "library", lambda: tmp_path)
    return tmp_path


def write(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("x = 1\n")


def test_what_is_not_the_library_itself_is_left_out(folder: Path) -> None:
    write(folder, "a.py", "p/__init__.py", "p/b.py", "p/test/c.py", "site-packages/d.py", "no-module.py", "q-1/e.py")
    write(folder, "notes.txt")
    assert corpus.items() == [
        {"module": "a", "path": "a.py"},
        {"module": "p", "path": "p/__init__.py"},
        {"module": "p.b", "path": "p/b.py"},
    ]
    assert {"module": "p.test.c", "path": "p/test/c.py"} in corpus.items(tests=True)


def test_a_library_without_sources_is_one_clear_error(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="full Python installation"):
        corpus.items()


def test_text_is_decoded_as_the_file_declares(folder: Path) -> None:
    (folder / "latin.py").write_bytes(b"# coding: latin-1\r\nname = '\xe9'\r\n")
    assert corpus.read("latin.py") == "# coding: latin-1\nname = 'é'\n"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("gone.py", "missing"),
        ("p", "unreadable"),
        ("a.py/b.py", "unreadable"),
        ("bytes.py", "undecodable"),
        ("cookie.py", "undecodable"),
        ("../secret.py", "outside"),
        ("/etc/passwd", "outside"),
    ],
)
def test_what_cannot_be_read_says_why(folder: Path, path: str, reason: str) -> None:
    write(folder, "a.py", "p/b.py")
    (folder / "bytes.py").write_bytes(b"name = '\xff'\n")
    (folder / "cookie.py").write_bytes(b"# coding: klingon\n")
    with pytest.raises(corpus.UnreadableError, match=reason):
        corpus.read(path)
