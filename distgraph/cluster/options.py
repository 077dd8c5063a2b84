"""How a run is to be executed, as it is stored with the run or with its batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distgraph.config import DEFAULT_RECURSION_LIMIT
from distgraph.errors import ConfigError
from distgraph.types import Placement

PLACEMENTS = ("auto", "spread", "local")
#: How long a run is kept after its end, unless its submitter says otherwise. Seconds.
RETENTION = 7 * 86_400.0
RETENTIONS = ("all", "latest")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the submitter asked for, besides the input.

    Attributes:
        placement: where nodes run that say nothing themselves; never changes results.
        recursion_limit: supersteps the run may take, START's included.
        before: nodes to stop before, or "*".
        after: nodes to stop after, or "*".
        configurable: the caller's own config keys, as nodes see them.
        context: what nodes get as ``runtime.context``.
        keep: "all" checkpoints or the "latest" alone.
        log: keep a log of events, so that a client can attach from the start.
    """

    placement: Placement = "auto"
    recursion_limit: int = DEFAULT_RECURSION_LIMIT
    before: Any = ()
    after: Any = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    configurable: Mapping[str, Any] = field(default_factory=dict)
    context: Any = None
    run_name: str = ""
    keep: str = "all"
    log: bool = True

    def plain(self) -> dict[str, Any]:
        """As plain data, for the codec."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @staticmethod
    def of(plain: Mapping[str, Any]) -> RunOptions:
        """From plain data; unknown keys are of a newer version and left out."""
        known = {name: value for name, value in plain.items() if name in RunOptions.__dataclass_fields__}
        for name in ("before", "after"):
            if isinstance(known.get(name), list):
                known[name] = tuple(known[name])
        known["tags"] = tuple(known.get("tags", ()))
        return RunOptions(**known)


def retention_field(retention: float | None) -> dict[str, int]:
    """The field of a run's record that says how long it is kept; none: for ever.

    Raises:
        ConfigError: it is no number of seconds.
    """
    if retention is None:
        return {}
    if isinstance(retention, bool) or not isinstance(retention, int | float) or not 0 <= retention < 1e9:
        raise ConfigError(
            f"retention {retention!r} is wrong: it is the seconds that a run is kept after its end, or None for ever."
        )
    return {"retain": int(retention * 1000)}


def options_from(config: Mapping[str, Any], *, placement: str, **more: Any) -> RunOptions:
    """The options that a merged config asks for.

    Raises:
        ConfigError: a placement or retention that does not exist.
    """
    if placement not in PLACEMENTS:
        raise ConfigError(f"placement {placement!r} does not exist. Use one of {', '.join(PLACEMENTS)}.")
    if more.get("keep", "all") not in RETENTIONS:
        raise ConfigError(f"keep {more['keep']!r} does not exist. Use one of {', '.join(RETENTIONS)}.")
    configurable = {
        key: value for key, value in config.get("configurable", {}).items() if not key.startswith(("__", "checkpoint_"))
    }
    return RunOptions(
        placement=placement,  # type: ignore[arg-type]
        recursion_limit=config.get("recursion_limit", DEFAULT_RECURSION_LIMIT),
        tags=tuple(config.get("tags", ())),
        metadata=dict(config.get("metadata", {})),
        configurable=configurable,
        run_name=str(config.get("run_name", "")),
        **more,
    )
