"""Measures of one definition and of every function and class inside it. Pure: lines in, facts out.

A portion's lines are parsed on their own, without the rest of the file: that is what makes the work divisible.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from distgraph.examples.census.analyse import FUNCTIONS, SCOPES, tree_of
from distgraph.examples.census.model import Definition, Facts

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

#: One more way through the code, each.
_DECISIONS = (
    ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.comprehension, ast.match_case,
)  # fmt: skip
_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)

_SNAKE_CASE = re.compile(r"_*[a-z0-9_]*")
_CAP_WORDS = re.compile(r"_*[A-Z][A-Za-z0-9]*")


class Counts(NamedTuple):
    """What is counted in one scope, not counting the scopes inside it."""

    statements: int
    complexity: int
    depth: int


def measure(lines: list[str], definitions: Iterable[Definition]) -> dict[str, Facts]:
    """Facts about every function and class in `definitions`, by "qualified.name:line".

    The line is part of the key because a file may define a name twice (under an `if`, say).
    """
    facts: dict[str, Facts] = {}
    for definition in definitions:
        tree, shift = _parse(lines[definition["start"] - 1 : definition["end"]])
        shift += definition["start"] - 1
        for name, node, parent in _scopes(tree):
            line = node.lineno + shift
            facts[f"{name}:{line}"] = _facts(name, node, parent, line)
    return facts


def count(scope: Scope) -> Counts:
    """Statements, McCabe complexity and nesting depth of a scope's own code."""
    statements, decisions, deepest = 0, 0, 0
    pending: list[tuple[ast.AST, int]] = [(child, 0) for child in scope.body]
    while pending:
        node, depth = pending.pop()
        statements += isinstance(node, ast.stmt)
        decisions += _decisions(node)
        if isinstance(node, SCOPES):
            continue
        if isinstance(node, _BLOCKS):
            depth += 1
            deepest = max(deepest, depth)
        pending.extend((child, depth - _is_elif(node, child)) for child in ast.iter_child_nodes(node))
    return Counts(statements, decisions + 1, deepest)


def _parse(lines: list[str]) -> tuple[ast.Module, int]:
    """The tree of one definition's lines, and what to add to its line numbers."""
    if lines[0][:1] in (" ", "\t"):
        # Indented in its file: put it into a block. Dedenting would change the strings in it.
        return tree_of("\n".join(["if 1:", *lines])), -1
    return tree_of("\n".join(lines)), 0


def _scopes(tree: ast.AST) -> Iterator[tuple[str, Scope, ast.AST]]:
    """Every function and class below `tree` with its qualified name and the scope it stands in."""
    pending: list[tuple[ast.AST, ast.AST, str]] = [(child, tree, "") for child in ast.iter_child_nodes(tree)]
    while pending:
        node, parent, prefix = pending.pop()
        if isinstance(node, SCOPES):
            name = prefix + node.name
            yield name, node, parent
            parent, prefix = node, f"{name}."
        pending.extend(
            (child, parent, prefix) for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)
        )


def _facts(name: str, node: Scope, parent: ast.AST, line: int) -> Facts:
    counts = count(node)
    is_class = isinstance(node, ast.ClassDef)
    own = node.name
    return {
        "kind": "class" if is_class else "method" if isinstance(parent, ast.ClassDef) else "function",
        "line": line,
        "lines": (node.end_lineno or node.lineno) - node.lineno + 1,
        "statements": counts.statements,
        "complexity": 0 if is_class else counts.complexity,
        "depth": counts.depth,
        "parameters": 0 if isinstance(node, ast.ClassDef) else _parameters(node.args),
        # nobody calls what is defined inside a function from outside
        "public": not isinstance(parent, FUNCTIONS) and not any(part.startswith("_") for part in name.split(".")),
        "documented": ast.get_docstring(node, clean=False) is not None,
        "well_named": (_CAP_WORDS if is_class else _SNAKE_CASE).fullmatch(own) is not None,
    }


def _decisions(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    return isinstance(node, _DECISIONS)


def _is_elif(node: ast.AST, child: ast.AST) -> bool:
    """Whether `child` is the `elif` of `node`: as deep as it, not deeper."""
    return (
        isinstance(node, ast.If)
        and isinstance(child, ast.If)
        and node.orelse == [child]
        and child.col_offset == node.col_offset
    )


def _parameters(args: ast.arguments) -> int:
    named = len(args.posonlyargs) + len(args.args) + len(args.kwonlyargs)
    return named + (args.vararg is not None) + (args.kwarg is not None)
