"""Which items and namespaces an operation means. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from distgraph.errors import ConfigError
from distgraph.store.ops import ListNamespacesOp, MatchCondition, Namespace

_ORDERS = {
    "$gt": lambda one, other: one > other,
    "$gte": lambda one, other: one >= other,
    "$lt": lambda one, other: one < other,
    "$lte": lambda one, other: one <= other,
}


def passes(value: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Whether an item's value has what a filter wants.

    Raises:
        ConfigError: an unknown operator.
    """
    return all(_agrees(value.get(key), want) for key, want in (wanted or {}).items())


def _agrees(value: Any, want: Any) -> bool:
    if isinstance(want, dict):
        if any(isinstance(key, str) and key.startswith("$") for key in want):
            return all(_holds(value, operator, operand) for operator, operand in want.items())
        return isinstance(value, dict) and all(_agrees(value.get(key), inner) for key, inner in want.items())
    if isinstance(want, list | tuple):
        return isinstance(value, list | tuple) and len(value) == len(want) and all(map(_agrees, value, want))
    return bool(value == want)


def _holds(value: Any, operator: str, operand: Any) -> bool:
    if operator == "$eq":
        return bool(value == operand)
    if operator == "$ne":
        return bool(value != operand)
    order = _ORDERS.get(operator)
    if order is None:
        raise ConfigError(
            f"Unsupported operator: {operator!r} in a store filter. Use $eq, $ne, $gt, $gte, $lt or $lte."
        )
    if value is None:
        # An item without the field is neither above nor below anything.
        return False
    try:
        return bool(order(float(value), float(operand)))
    except (TypeError, ValueError):
        pass
    try:
        return bool(order(value, operand))
    except TypeError:
        return False


def listed(namespaces: Iterable[Namespace], op: ListNamespacesOp) -> list[Namespace]:
    """Those of ``namespaces`` that ``op`` asks for, cut and sorted as it says."""
    conditions = op.match_conditions or ()
    found = {ns for ns in namespaces if all(_matches(condition, ns) for condition in conditions)}
    if op.max_depth is not None:
        found = {ns[: op.max_depth] for ns in found}
    return sorted(found)[op.offset : op.offset + op.limit]


def _matches(condition: MatchCondition, namespace: Namespace) -> bool:
    path = condition.path
    if len(namespace) < len(path):
        return False
    if condition.match_type == "prefix":
        part = namespace[: len(path)]
    elif condition.match_type == "suffix":
        part = namespace[len(namespace) - len(path) :]
    else:
        raise ConfigError(f"Unsupported match type: {condition.match_type!r}. Use 'prefix' or 'suffix'.")
    return all(want in ("*", label) for label, want in zip(part, path, strict=True))
