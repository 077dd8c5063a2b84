"""Finding nodes that change their input in place.

In one process tasks share what is in the state, so such a change reaches siblings and, unseen by any reducer, the state;
on a cluster every task has its own copy, so it reaches nobody. A graph that does it depends on where it runs.
"""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

from distgraph.types import MISSING
from distgraph.warnings import DistgraphWarning


def remembered(value: Any) -> Any:
    """A copy of a node's input; MISSING of one that cannot be copied."""
    try:
        return deepcopy(value)
    except Exception:
        return MISSING


def report(name: str, before: Any, after: Any) -> None:
    """Warn if ``after`` is not what ``before`` remembers."""
    if before == after:
        return
    keys = [key for key in before if before[key] != after.get(key)] if _both_dicts(before, after) else []
    which = f" (key {', '.join(map(repr, keys))})" if keys else ""
    warnings.warn(
        f"mutated-input: Node {name!r} changed its input in place{which}. Its siblings and the state see that here, and "
        "nobody does on a cluster. Return the change instead.",
        DistgraphWarning,
        stacklevel=2,
    )


def _both_dicts(before: Any, after: Any) -> bool:
    return isinstance(before, dict) and isinstance(after, dict)
