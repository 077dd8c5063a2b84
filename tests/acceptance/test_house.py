"""The house stays habitable: light to import, its rooms findable, what is shipped complete.

Who may import whom is checked by import-linter (pyproject.toml); here is what it cannot see.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "distgraph"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

#: What stands at the top of the repository, besides dotfiles. Documents live in ops/docs, benches in ops/bench.
TOP = {
    *("CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "docker-compose.yml", "pyproject.toml"),
    *("distgraph", "ops", "tests", "workers"),
}

#: Where the tested folders are that are not in the package.
#: What several files of a room have in common, tested in one place.
TOPICS = {
    (("examples",), "samples"),
    (("engine",), "runs"),
    (("engine",), "nested"),
    (("engine",), "handlers"),
    ((), "import"),
}
OUTSIDE = {"workers": ROOT, "bench": ROOT / "ops"}

#: 400 lines are a smell; a file of more than this certainly holds two things.
LONG = 500


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_top_level_stays_small() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git repository")
    top = {name.split("/")[0] for name in listed.stdout.splitlines() if not name.startswith(".")}
    assert top <= TOP


def test_files_are_short() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in python_files("distgraph", "workers")}
    assert {name: length for name, length in lengths.items() if length > LONG} == {}


def test_unit_tests_mirror_the_package() -> None:
    """tests/unit/channels/test_topic.py is about distgraph/channels/topic.py: both are found by the same path."""
    strays = []
    for test in (ROOT / "tests/unit").rglob("test_*.py"):
        folder = test.parent.relative_to(ROOT / "tests/unit")
        base = OUTSIDE.get(folder.parts[0] if folder.parts else "", PACKAGE)
        name = test.stem.removeprefix("test_")
        if (folder.parts, name) in TOPICS:
            continue
        if not any((base / folder / found).exists() for found in (f"{name}.py", name, f"{name}.lua")):
            strays.append(relative(test))
    assert strays == []


def test_rooms_do_not_use_the_front_door() -> None:
    """`from distgraph import X` inside the package would reach every room past the import rules."""
    guests = ("distgraph/examples/", "distgraph/cli/", "distgraph/__main__.py")
    offenders = []
    for path in python_files("distgraph"):
        if relative(path).startswith(guests):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "distgraph" and not node.level:
                names = [name.name for name in node.names if not _is_room(name.name)]
                offenders += [f"{relative(path)}:{node.lineno} {name}" for name in names]
    assert offenders == []


def _is_room(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


def test_every_script_says_what_it_takes_and_answers() -> None:
    """A Lua file opens with a comment that names its keys (`-- KEYS`) and its replies (`-- ->`)."""
    silent = []
    for script in PACKAGE.rglob("*.lua"):
        opening = re.match(r"(--[^\n]*\n)+", script.read_text())
        if not opening or "\n-- KEYS" not in opening[0] or "\n-- ->" not in opening[0]:
            silent.append(relative(script))
    assert silent == []


def interpreter(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_importing_the_package_loads_no_server_library() -> None:
    """Who runs graphs in one process pays for nothing else."""
    loaded = set(interpreter("import sys, distgraph; print(*sys.modules, sep='\\n')").split())
    heavy = {"asyncio", "celery", "click", "kombu", "msgpack", "pydantic", "redis", "rich"}
    assert loaded & heavy == set()


def test_importing_the_package_is_quick() -> None:
    """Less than 90 ms of the processor's time over a bare interpreter, as the median of several."""

    def seconds(code: str) -> float:
        begin = resource.getrusage(resource.RUSAGE_CHILDREN)
        interpreter(code)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        return end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime

    interpreter("import distgraph")  # compiled files are written once
    pairs = [(seconds("import distgraph"), seconds("pass")) for _ in range(7)]
    assert statistics.median(whole - bare for whole, bare in pairs) < 0.090


def test_public_names_exist() -> None:
    package = importlib.import_module("distgraph")
    assert [name for name in package.__all__ if not hasattr(package, name)] == []


def test_the_version_is_in_the_changelog() -> None:
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_module_and_the_command_are_one(tmp_path: Path) -> None:
    """`python -m distgraph` and the installed command are the same program."""
    module = subprocess.run(
        [sys.executable, "-m", "distgraph", "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert module.returncode == 0, module.stderr
    name, _, function = PROJECT["scripts"]["distgraph"].partition(":")
    assert callable(getattr(importlib.import_module(name), function))


def test_the_wheel_holds_the_library_and_its_scripts(tmp_path: Path) -> None:
    """Every Lua file is in it; what an operator edits (workers) is not."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed")
    copy = tmp_path / "source"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "docker-compose.yml"):
        shutil.copy(ROOT / name, copy)
    for name in ("distgraph", "workers"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(command, cwd=copy, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    code = {relative(path) for path in PACKAGE.rglob("*") if path.suffix in (".py", ".lua")}
    assert code <= held
    assert not [name for name in held if name.startswith(("workers/", "tests/"))]


@pytest.mark.parametrize("script", ["ops/demo.sh", "ops/test.sh", "ops/lib.sh"])
def test_scripts_are_plain_shell(script: str) -> None:
    subprocess.run(["sh", "-n", str(ROOT / script)], check=True)


def test_continuous_integration_runs_what_a_developer_runs() -> None:
    assert "sh ops/test.sh" in (ROOT / ".ci/run").read_text()
