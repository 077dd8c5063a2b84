"""One measurement, in this fresh process: the case comes as JSON, the numbers go out on the last line."""

from __future__ import annotations

import importlib
import json
import sys
import traceback

from ops.bench.common import Case, Skip


def main() -> None:
    """Measure; an error is told like a number, so that the other cases go on."""
    told = json.loads(sys.argv[1])
    suite = importlib.import_module(f"ops.bench.{told['suite']}")
    case = Case(told["name"], told["engine"], told["options"])
    try:
        answer = {"numbers": suite.measure(case)}
    except Skip as why:
        answer = {"skip": str(why)}
    except Exception as error:
        traceback.print_exc()
        answer = {"error": f"{type(error).__name__}: {error}"[:500]}
    print("\n" + json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
