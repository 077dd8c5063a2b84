"""Versions of one graph side by side: which takes over what another left, what differs, what becomes of the state.

A run is pinned to the fingerprint it was submitted with. A worker with another one leaves it alone, unless no worker of
the run's own version lives and this one may take over: because its graph declares itself compatible, or because the
operator says so for this worker. The run is pinned anew then, under a new epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from distgraph.constants import BRANCH_TO, START, TASKS
from distgraph.errors import ConfigError, GraphMismatchError
from distgraph.superstep.model import Checkpoint, Program
from distgraph.types import MISSING

#: What a worker takes over from versions it does not serve: nothing; what its graphs declare; whatever has their name.
POLICIES = ("pin", "compatible", "force")
#: Characters of a fingerprint that tell versions apart; what people see, and what lines remember.
SHORT = 12


def check_policy(policy: str) -> str:
    """``policy`` if there is such a one.

    Raises:
        ConfigError: there is not.
    """
    if policy not in POLICIES:
        raise ConfigError(f"Version policy {policy!r} does not exist. Use one of {', '.join(POLICIES)}.")
    return policy


def accepts(compatible_with: Any, fingerprint: str) -> bool:
    """Whether a declaration covers a version: fingerprints, or the first characters of them (12 or more); or a function."""
    if callable(compatible_with):
        return bool(compatible_with(fingerprint))
    return any(len(known) >= SHORT and fingerprint.startswith(known) for known in compatible_with)


# ------------------------------------------------------------- what differs


def parts_of(program: Program) -> dict[str, Any]:
    """What versions of a graph are compared by: names of nodes, keys and their rules. Plain data."""
    nodes = sorted(name for name in program.nodes if name != START)
    rules = {name: repr(rule.spec()) for name, rule in sorted(program.channels.items()) if not _own(name)}
    return {"nodes": nodes, "keys": rules}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """How ``new`` differs from ``old``, in words; both as ``parts_of`` made them."""
    told = [*_named("node", old.get("nodes", ()), new.get("nodes", ()))]
    before, after = old.get("keys", {}), new.get("keys", {})
    told += _named("key", before, after)
    told += [f"reducer of key {name!r} changed" for name in before if name in after and before[name] != after[name]]
    return told or ["edges, or conditional edges, changed"]


def _named(what: str, old: Iterable[str], new: Iterable[str]) -> list[str]:
    gone, come = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    return [*(f"{what} {name!r} removed" for name in gone), *(f"{what} {name!r} added" for name in come)]


def _own(channel: str) -> bool:
    """Whether a channel is the graph's own, and none of its user's keys."""
    return channel in (START, TASKS) or channel.startswith((BRANCH_TO, "join:"))


# ------------------------------------------------------------- what becomes of the state


def check_reachable(program: Program, at: Checkpoint, name: str) -> None:
    """Refuse to go on from a checkpoint that is to be followed by nodes this version does not have.

    Raises:
        GraphMismatchError: so it is; going on would end the run as if it were done.
    """
    wanted = {channel.removeprefix(BRANCH_TO) for channel in at.values if channel.startswith(BRANCH_TO)}
    wanted |= {send.node for send in at.values.get(TASKS) or ()}
    missing = sorted(wanted - set(program.nodes))
    if missing:
        raise GraphMismatchError(
            f"Graph {name!r} of this worker has no node {missing[0]!r}, which is next at checkpoint {at.id}, written by "
            "another version. Start a worker of that version, or add the node."
        )


def migrated(
    program: Program,
    at: Checkpoint,
    hook: Callable[[dict[str, Any]], Any],
    name: str,
    bump: Callable[[str | None], str],
) -> Checkpoint:
    """``at``, written by another version, with the state that the graph's ``migrate`` makes of it.

    Raises:
        GraphMismatchError: it raised, or did not return a dict of keys that the graph has.
    """
    old = {key: value for key, value in at.values.items() if not _own(key)}
    try:
        new = hook(dict(old))
    except Exception as exc:
        raise GraphMismatchError(
            f"migrate of graph {name!r} raised {type(exc).__name__}: {exc} - on checkpoint {at.id} of another version. "
            "The state was left as it is."
        ) from exc
    if not isinstance(new, dict):
        raise GraphMismatchError(f"migrate of graph {name!r} returned a {type(new).__name__}; it must return a dict.")
    unknown = sorted(set(new) - {key for key in program.channels if not _own(key)})
    if unknown:
        raise GraphMismatchError(
            f"migrate of graph {name!r} returned key {unknown[0]!r}, which the graph does not have."
        )
    values = {key: value for key, value in at.values.items() if _own(key)} | new
    changed = [key for key, value in new.items() if value is not old.get(key, MISSING)]
    version = bump(at.clock)
    kept = {key: known for key, known in at.versions.items() if key in values}
    return at._replace(
        values=values, versions={**kept, **dict.fromkeys(changed, version)}, clock=version if changed else at.clock
    )
