"""One look at a whole module: what it defines and imports, and how it is cut into portions. Pure."""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterable, Iterator

from distgraph.examples.census.model import Definition, Import, Outline

#: What opens a scope of its own.
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef)

# Before Python 3.11.9 and 3.12.3 two OS threads that parse at once disturb each other ("SystemError: AST constructor
# recursion depth mismatch"): the depth is counted in one place for the whole interpreter.
_one_parser = threading.Lock()


class BrokenSourceError(Exception):
    """Text that is no Python of this interpreter's version."""


def tree_of(text: str) -> ast.Module:
    """`ast.parse`, safe where nodes run in several OS threads of one process."""
    with _one_parser:
        return ast.parse(text)


def parse(text: str) -> ast.Module:
    """The syntax tree of a module's text.

    Raises:
        BrokenSourceError: with the reason, short enough for a table.
    """
    try:
        return tree_of(text)
    except SyntaxError as error:
        raise BrokenSourceError(f"line {error.lineno}: {error.msg}") from None
    except ValueError as error:  # null bytes, before Python 3.12
        raise BrokenSourceError(str(error)) from None
    except (RecursionError, MemoryError):
        raise BrokenSourceError("nested too deeply") from None


def outline(tree: ast.Module, text: str, module: str, *, package: bool) -> Outline:
    """What `tree`, parsed from `text`, holds. `package`: the file is an ``__init__``."""
    lines = text.split("\n")
    stripped = [line.strip() for line in lines]
    return {
        "lines": len(lines),
        "code_lines": sum(1 for line in stripped if line and not line.startswith("#")),
        "documented": ast.get_docstring(tree, clean=False) is not None,
        "definitions": [_place(node) for node in _top_level(tree.body)],
        "imports": _imports(tree, module, package=package),
        # a package imports in order to offer: what looks unused is its purpose
        "unused": [] if package else _unused(tree),
    }


def portions(definitions: list[Definition], most: int) -> list[list[Definition]]:
    """`definitions` cut into at most `most` runs of about equally many lines, in order.

    One definition a portion where they are few enough: a fan-out as wide as the module, but never wider than `most`.
    """
    if len(definitions) <= most:
        return [[definition] for definition in definitions]
    share = sum(_length(definition) for definition in definitions) / most
    cut: list[list[Definition]] = [[] for _ in range(most)]
    before = 0
    for definition in definitions:
        middle = before + _length(definition) / 2
        cut[min(most - 1, int(middle / share))].append(definition)
        before += _length(definition)
    return [portion for portion in cut if portion]


def _length(definition: Definition) -> int:
    return definition["end"] - definition["start"] + 1


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Definitions of the module's own scope, also those under an `if`, a `try` or a loop."""
    for node in body:
        if isinstance(node, SCOPES):
            yield node
        else:
            for block in _blocks(node):
                yield from _top_level(block)


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        yield getattr(node, field, [])
    for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield part.body


def _place(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Definition:
    start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return {"name": node.name, "start": start, "end": node.end_lineno or node.lineno}


def _imports(tree: ast.Module, module: str, *, package: bool) -> list[Import]:
    """Imported modules, sorted; one that is imported both at the top and lazily counts as top."""
    lazy: dict[str, bool] = {}
    pending: list[tuple[ast.AST, bool]] = [(tree, False)]
    while pending:
        node, inside = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in _targets(node, module, package=package):
                lazy[name] = lazy.get(name, True) and inside
        inside = inside or isinstance(node, FUNCTIONS) or _is_main_guard(node)
        pending.extend((child, inside) for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))
    return [{"module": name, "lazy": lazy[name]} for name in sorted(lazy)]


def _is_main_guard(node: ast.AST) -> bool:
    """Whether this is ``if __name__ == "__main__":``."""
    return isinstance(node, ast.If) and "__name__" in {
        part.id for part in ast.walk(node.test) if isinstance(part, ast.Name)
    }


def _targets(node: ast.Import | ast.ImportFrom, module: str, *, package: bool) -> list[str]:
    """The absolute names of the modules an import statement loads."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not node.level:
        return [node.module or ""]
    parents = module.split(".")
    # one dot is the package itself; an __init__ already bears the package's name
    base = parents[: len(parents) - node.level + package]
    if node.module:
        return [".".join([*base, node.module])]
    return [".".join([*base, alias.name]) for alias in node.names]


def _unused(tree: ast.Module) -> list[str]:
    """Names bound by top-level imports that nothing in the file mentions again, sorted."""
    bound = {
        (alias.asname or alias.name).partition(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom) and getattr(node, "module", "") != "__future__"
        for alias in node.names
        if alias.name != "*"
    }
    mentioned: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            mentioned.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            mentioned.add(node.value)  # __all__, getattr(), annotations written as strings
    return sorted(bound - mentioned)
