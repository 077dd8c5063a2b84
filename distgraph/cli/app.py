"""``distgraph``: the root of the command line; it turns whatever a command raises into one error and an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from distgraph.cli.batch import batch
from distgraph.cli.chaos import chaos
from distgraph.cli.check import check
from distgraph.cli.demo import demo
from distgraph.cli.dlq import dlq
from distgraph.cli.doctor import doctor
from distgraph.cli.draw import draw
from distgraph.cli.exits import EPILOG, USAGE, Detached, Reported, describe, exit_code
from distgraph.cli.fleet import graphs, workers
from distgraph.cli.flower import flower
from distgraph.cli.interrupts import interrupts
from distgraph.cli.memory import memory
from distgraph.cli.options import root_options
from distgraph.cli.output import error_row, print_line
from distgraph.cli.plain import dumps
from distgraph.cli.profile import profile
from distgraph.cli.run import run
from distgraph.cli.runs import runs
from distgraph.cli.session import Session, note_empty_variables
from distgraph.cli.threads import threads
from distgraph.cli.up import up
from distgraph.cli.worker import worker

#: The user stopped it: not an error.
_LET_GO = (Detached, KeyboardInterrupt)


class Root(click.Group):
    """A group whose commands return their exit code (None: 0) and may raise anything."""

    def main(  # type: ignore[override] # it always ends the process, as ours does in standalone mode
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run a command line and exit with its code."""
        words = list(sys.argv[1:] if args is None else args)
        session = extra.pop("obj", None) or Session()
        extra.pop("standalone_mode", None)
        try:
            code = super().main(words, prog_name or "distgraph", standalone_mode=False, obj=session, **extra)
        except click.Abort:
            code = _fail(session, KeyboardInterrupt())
        except Reported as error:
            code = error.args[0]
            _show_traceback(session, error.__cause__ or error)
        except click.ClickException as error:
            # The option may not have been reached when the command line turned out to be wrong.
            code = _refuse(error, json="--json" in words)
        except Exception as error:
            code = _fail(session, error)
        sys.exit(code if isinstance(code, int) else 0)


def _refuse(error: click.ClickException, *, json: bool) -> int:
    if json:
        print_line(dumps({"error": {"code": "USAGE", "message": error.format_message()}}, ascii_only=True, indent=2))
    else:
        error.show()
    return USAGE


def _fail(session: Session, error: BaseException) -> int:
    _show_traceback(session, error)
    if session.json and not session.output.document_begun:
        session.output.document({"error": error_row(error)})
    else:
        code, message = describe(error)
        heading = "" if isinstance(error, _LET_GO) else f"Error [{code}]: "
        sys.stderr.write(f"{heading}{message}\n")
    return exit_code(error)


def _show_traceback(session: Session, error: BaseException) -> None:
    if session.debug and not isinstance(error, _LET_GO):
        sys.stderr.write("".join(traceback.format_exception(error)))


def _version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"distgraph {version('distgraph')}")
    except PackageNotFoundError:
        click.echo("distgraph, run from its sources")
    context.exit()


@click.group(
    "distgraph",
    cls=Root,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version and exit."
)
@root_options
def app() -> None:
    """Stateful graphs in supersteps, in large batches, on Celery workers.

    Begin with `distgraph demo`, or `distgraph up` for a server with workers to try things on. The global options below
    may also stand after a command.
    """
    note_empty_variables()


_COMMANDS: tuple[click.Command, ...] = (
    *(up, demo, worker, flower),
    *(run, batch, runs, threads, interrupts, dlq),
    *(graphs, workers),
    *(check, draw, profile, doctor, memory, chaos),
)
for _command in _COMMANDS:
    app.add_command(_command)
