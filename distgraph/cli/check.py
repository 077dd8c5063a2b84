"""``distgraph check``: load a graph, compile it strictly, report every problem with its place and what to do."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distgraph.cli.exits import EPILOG, FAILED, OK
from distgraph.cli.options import attribute, global_options
from distgraph.cli.output import Row, count
from distgraph.cli.session import Session, import_from_here
from distgraph.errors import GraphError, GraphValidationError
from distgraph.warnings import DistgraphWarning

if TYPE_CHECKING:
    from distgraph.graph.problems import Problem


@click.command(epilog=EPILOG)
@click.argument("reference", metavar="MODULE:ATTR", callback=attribute)
@click.option("--strict", is_flag=True, help="Fail on lints, too.")
@global_options
@click.pass_obj
def check(session: Session, reference: str, strict: bool) -> int:
    """Load a compiled graph and report everything that is wrong with it, or probably not as meant.

    Needs no server. The module is imported, so what it does at import time happens.
    """
    try:
        problems = _problems(load(reference))
    except GraphValidationError as error:
        if not error.problems:
            raise
        problems = list(error.problems)
    wrong = [problem for problem in problems if strict or problem.severity == "error"]
    if session.json:
        rows = [_row(problem) for problem in problems]
        session.output.document({"graph": reference, "ok": not wrong, "problems": rows})
    else:
        _show(session, reference, problems, failed=bool(wrong))
    return FAILED if wrong else OK


def _problems(graph: Any) -> list[Problem]:
    from distgraph.graph import check

    # A Pregel put together by hand has no builder: its constructor has checked all there is to check.
    return check(graph) if hasattr(graph, "builder") else []


def _row(problem: Problem) -> Row:
    place = problem.place
    return {
        "code": problem.code,
        "severity": problem.severity,
        "text": problem.text,
        "fix": problem.fix,
        "file": None if place is None else place.filename,
        "line": None if place is None else place.line,
    }


def _show(session: Session, reference: str, problems: Sequence[Problem], *, failed: bool) -> None:
    for problem in problems:
        place = "" if problem.place is None else f"{_near(problem.place.filename)}:{problem.place.line}: "
        session.output.text(f"{place}{problem.severity}: {problem.text} [{problem.code}]")
        if problem.fix:
            session.output.text(f"    {problem.fix}")
    if not problems:
        session.output.text(f"{reference}: no problems.")
        return
    errors = sum(problem.severity == "error" for problem in problems)
    found = [count(errors, "error")] * bool(errors) + [count(len(problems) - errors, "lint")] * (errors < len(problems))
    verdict = "" if failed else "; lints fail with --strict"
    session.output.text(f"{reference}: {' and '.join(found)}{verdict}. Each code is explained in ops/docs/errors.md.")


def _near(filename: str) -> str:
    """The path as the user would type it."""
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename


def load(reference: str) -> Any:
    """The compiled graph at ``package.module:name``.

    Raises:
        GraphError: there is no such module or name, the module fails to import, or what is there is no compiled graph.
        GraphValidationError: compiling it found problems.
    """
    module_name, _, name = reference.partition(":")
    module = _imported(module_name)
    if not hasattr(module, name):
        close = difflib.get_close_matches(name, vars(module), n=3)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise GraphError(f"Module {module_name} has no {name!r}.{hint}")
    return _compiled(getattr(module, name), reference)


def _imported(name: str) -> Any:
    import_from_here()
    try:
        # What a module prints must not get into the answer, and lints are the answer.
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore", DistgraphWarning)
            return importlib.import_module(name)
    except GraphValidationError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise GraphError(
                f"There is no module {error.name!r}. Modules are looked for in {Path.cwd()} and among the installed "
                "packages: change to your project's directory, or install it."
            ) from None
        raise _import_failed(name, error) from error
    except (Exception, SystemExit) as error:
        raise _import_failed(name, error) from error


def _import_failed(name: str, error: BaseException) -> GraphError:
    """Module ``name`` is there and fails: say where, in the user's code rather than in the import machinery."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    where = f" in {_near(frames[-1].filename)}, line {frames[-1].lineno}" if len(frames) > 1 else ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f" in {_near(error.filename)}, line {error.lineno}"
    reason = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
    return GraphError(f"Module {name} is there, but importing it fails{where}: {reason}.")


def _compiled(found: Any, reference: str) -> Any:
    from distgraph.graph import StateGraph
    from distgraph.pregel import Pregel

    if isinstance(found, Pregel):
        return found
    if isinstance(found, StateGraph):
        raise GraphError(f"{reference} is a StateGraph that is not compiled. Name what its compile() returns.")
    kind = f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
    call = " Call it, and give what it returns a name." if callable(found) else ""
    raise GraphError(f"{reference} is {kind}, not a compiled graph.{call}")
