"""What an import costs over a bare interpreter: time, memory, modules."""

from __future__ import annotations

import json
import subprocess
import sys

from ops.bench.common import Case, Numbers, Skip

UNIT = "ms"
BETTER = "lower"
BASELINES = ("langgraph",)
COLUMNS = (("modules", "modules"), ("more_mb", "more MB"), ("rss_mb", "MB"), ("heavy", "redis, celery or pydantic"))

_FRONT = "from {0}.graph import StateGraph, START, END; from {0}.types import Send"
_STATEMENTS = {
    "import": {"distgraph": "import distgraph", "langgraph": _FRONT.format("langgraph")},
    "import a builder and a saver": {
        name: _FRONT.format(name) + f"; from {name}.checkpoint.memory import InMemorySaver"
        for name in ("distgraph", "langgraph")
    },
    "import what runs on workers": {
        "distgraph": "from distgraph.cluster import Cluster",
        "celery": "from celery import Celery",
    },
}
_PROBE = """
import json, sys, time
def memory():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024
before, modules, at = memory(), len(sys.modules), time.perf_counter()
{statement}
spent = time.perf_counter() - at
print(json.dumps(dict(value=spent * 1e3, modules=len(sys.modules) - modules, rss_mb=memory(), more_mb=memory() - before,
    heavy=sum(name in sys.modules for name in ("redis", "celery", "pydantic")))))
"""


def cases() -> list[Case]:
    """Each import by itself."""
    return [
        Case(name, engine, {"statement": statement})
        for name, statements in _STATEMENTS.items()
        for engine, statement in statements.items()
    ]


def measure(case: Case) -> Numbers:
    """Milliseconds, in an interpreter that has imported nothing else; the files are in the system's cache."""
    command = [sys.executable, "-c", _PROBE.format(statement=case.options["statement"])]
    for _ in range(2):  # the first one may compile, and reads from the disk
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Skip(done.stderr.strip().splitlines()[-1])
    found: Numbers = json.loads(done.stdout)
    return found
