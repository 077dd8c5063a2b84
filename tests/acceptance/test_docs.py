"""The documents are code: what they show runs, what they name exists.

The blocks of a page are executed one after the other, as if typed by its reader: ```python, all in one namespace, where an
expression followed by `# -> TEXT` must have exactly that representation; ```python cluster, which needs workers; and of
```sh the commands of ours that come to an end. Reader and workers share a server, in place of the one on the usual port.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from distgraph.cli.app import app
from distgraph.cluster import Cluster
from tests.acceptance.deployment import clean_environment

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "ops/docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
#: The address that the pages use.
USUAL_SERVER = "redis://127.0.0.1:6379/0"
#: Commands that run until somebody stops them.
ENDLESS = {"up", "worker", "flower"}
EXPECTED = re.compile(r"#\s->\s(?P<text>.+)$")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    info: str
    body: str


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(page, line, match["info"].strip(), match["body"])


def every(info: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.info == info]


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def block_id(block: Block) -> str:
    return f"{page_id(block.page)}:{block.line}"


@pytest.fixture
def names() -> Iterator[dict[str, object]]:
    """The names of one page, in a module of its own: schemas look their annotations up by module."""
    module = types.ModuleType("a_page")
    sys.modules[module.__name__] = module
    yield module.__dict__
    del sys.modules[module.__name__]


def run(block: Block, names: dict[str, object]) -> int:
    """Execute a block statement by statement, errors pointing into the page. Returns how many `# ->` were checked."""
    checked = 0
    lines = block.body.splitlines()
    tree = ast.parse(block.body, filename=str(block.page))
    ast.increment_lineno(tree, block.line)
    for statement in tree.body:
        last_line = lines[(statement.end_lineno or statement.lineno) - block.line - 1]
        expected = EXPECTED.search(last_line)
        if isinstance(statement, ast.Expr) and expected:
            value = eval(compile(ast.Expression(statement.value), str(block.page), "eval"), names)
            assert repr(value) == expected["text"], f"{block.page.name}:{statement.lineno}"
            checked += 1
        else:
            exec(compile(ast.Module([statement], []), str(block.page), "exec"), names)
    return checked


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in page.read_text()], ids=page_id)
def test_what_a_page_shows_runs(
    page: Path, names: dict[str, object], server_binary: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader has the files that the page speaks of, and is where they are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))  # whose workers.graphs the pages serve
    for name in ("lines.txt", "letters.txt"):
        Path(name).write_text("It rained.\nWe stayed at home.\n")
    Path("items.jsonl").write_text('{"text": "It rained."}\n{"text": "We stayed at home."}\n')
    if {block.info for block in blocks(page)}.isdisjoint({"python cluster", "sh"}):
        check_python(page, names, "")
        return
    with Cluster.embedded(workers=1, graphs=["workers.graphs"]) as cluster:
        check_python(page, names, cluster.server.url)


def check_python(page: Path, names: dict[str, object], url: str) -> None:
    checked = marked = 0
    for block in blocks(page):
        if block.info.startswith("python"):
            block = Block(block.page, block.line, block.info, block.body.replace(USUAL_SERVER, url))
            checked += run(block, names)
            marked += len(re.findall(r"# -> ", block.body))
        elif url and block.info == "sh":
            for words in commands(block):
                run_command([word.replace(USUAL_SERVER, url) for word in words], url)
    assert checked == marked, "a result is promised where no expression stands"


def run_command(words: list[str], url: str) -> None:
    """Run a command of ours that comes to an end, as its reader would."""
    if words[0] != "distgraph" or words[1] in ENDLESS:
        return
    env = {**clean_environment(), "DISTGRAPH_URL": url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{shlex.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}"


def test_blocks_say_what_they_are() -> None:
    """A misspelt mark would take a block out of the checks above."""
    known = {"python", "python cluster", "sh", "mermaid", "text", "json", "ini", "yaml"}
    assert [block_id(block) for page in PAGES for block in blocks(page) if block.info not in known] == []


def commands(block: Block) -> Iterator[list[str]]:
    """The commands of a shell block, as words; here-documents are skipped."""
    closing = None
    for line in re.sub(r"\\\n", " ", block.body).splitlines():
        if closing:
            closing = None if line == closing else closing
        elif here := re.search(r"<<'?(\w+)'?", line):
            closing = here[1]
        elif words := shlex.split(line, comments=True):
            yield words


@pytest.mark.parametrize("block", every("sh"), ids=block_id)
def test_shell_commands_exist(block: Block) -> None:
    for words in commands(block):
        if words[0] == "sh":
            assert (ROOT / words[1]).is_file(), words
        elif words[0] == "distgraph":
            check_our_command(words[1:])


def check_our_command(words: list[str]) -> None:
    """Every subcommand and option in `words` exists."""
    command: click.Command = app
    while isinstance(command, click.Group):
        assert words and words[0] in command.commands, f"no command {words[:1]} in {command.name}"
        command = command.commands[words[0]]
        words = words[1:]
    # the global options may stand after a command as well
    parameters = [*command.params, *app.params]
    known = {name for parameter in parameters for name in [*parameter.opts, *parameter.secondary_opts]}
    used = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert used - known - {"--help"} == set(), command.name


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files of the repository, and headings that those files have."""
    prose = FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)]+)\)", prose):
        path, _, heading = target.partition("#")
        if "://" in path:
            continue
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
            assert heading in slugs, target


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_page_promises_too_much(page: Path) -> None:
    """A node may run more than once: nobody may read otherwise."""
    assert not re.search(r"exactly[- ]once\s+execution", page.read_text(), re.IGNORECASE)
