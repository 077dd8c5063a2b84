"""How a run is to be executed, as it is stored with the run or with its batch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

from distgraph.checkpoint.retention import CheckpointRetention
from distgraph.cluster.limits import seconds_of
from distgraph.config import DEFAULT_RECURSION_LIMIT
from distgraph.errors import ConfigError
from distgraph.types import Placement

PLACEMENTS = ("auto", "spread", "local")
#: How long a run or batch is kept after its end, unless its submitter says otherwise. Seconds.
RETENTION = 7 * 86_400.0
RETENTIONS = ("all", "latest")
#: How often the tasks of a run, or of an item, are tried again in all, unless its submitter says otherwise.
RETRIES = 10_000
#: Kinds of logs that have all: of nested graphs too, and what models say while they say it. In "pieces" that is the
#: events of which messages are made, as ``stream_events(version="v3")`` reads them; else it is parts of messages.
FULL = ("full", "pieces")
LOGS = (True, False, *FULL)
#: Which checkpoints stay: all, the run's latest, so many of the thread's, those made within a time, or a rule of both.
Keep = Literal["all", "latest"] | int | timedelta | CheckpointRetention
#: How long something is kept: seconds, a timedelta, None for ever, or what the cluster's client was told.
Retention = timedelta | float | Literal["default"] | None
#: Options that releases before did not have, as they mean nothing: a call is known by its bytes, in every release.
_LEFT_OUT: dict[str, Any] = {
    **{"prune": (None, None), "retries": RETRIES, "time_limit": None, "step_timeout": None},
    "profile": False,
}
_SPAN = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)([smhdw]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


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
        prune: of those: how many of the thread's newest stay, and for how many seconds; None: no limit.
        log: keep a log of events, so that a client can attach from the start; "full": also of nested graphs, and the
            tokens of models; "pieces": the same for ``stream_events(version="v3")``.
        retries: how often its tasks may be tried again, all together; None: as often as their policies say.
        time_limit: for all of it, from when it is first taken. Seconds; None: no limit.
        step_timeout: for each of its supersteps. Seconds; None: no limit.
        profile: keep the times of its nodes in its log.
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
    log: bool | str = True
    prune: tuple[int | None, float | None] = (None, None)
    retries: int | None = RETRIES
    time_limit: float | None = None
    step_timeout: float | None = None
    profile: bool = False

    @property
    def limited(self) -> bool:
        """There is a time limit that must outlive whoever works at it."""
        return self.time_limit is not None or self.step_timeout is not None

    def config(self, thread_id: str) -> dict[str, Any]:
        """The run's config, as its nodes see it."""
        made: dict[str, Any] = {
            "configurable": {**self.configurable, "thread_id": thread_id},
            "metadata": {"thread_id": thread_id, **self.metadata},
            "recursion_limit": self.recursion_limit,
        }
        if self.tags:
            made["tags"] = list(self.tags)
        return made

    @property
    def retention(self) -> CheckpointRetention | None:
        """Which checkpoints of the thread stay; None: all that the run keeps."""
        last, seconds = self.prune
        if last is None and seconds is None:
            return None
        return CheckpointRetention(last, None if seconds is None else timedelta(seconds=seconds))

    def plain(self) -> dict[str, Any]:
        """As plain data, for the codec. What is as it always was is left out: the same call is known by these bytes."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name, usual in _LEFT_OUT.items():
            if told[name] == usual:
                del told[name]
        return told

    @staticmethod
    def of(plain: Mapping[str, Any]) -> RunOptions:
        """From plain data; unknown keys are of a newer version and left out."""
        known = {name: value for name, value in plain.items() if name in RunOptions.__dataclass_fields__}
        for name in ("before", "after"):
            if isinstance(known.get(name), list):
                known[name] = tuple(known[name])
        known["tags"] = tuple(known.get("tags", ()))
        known["prune"] = tuple(known.get("prune", (None, None)))
        return RunOptions(**known)


def span(text: str) -> float | None:
    """Seconds, of a length of time as people write it: ``90``, ``45s``, ``30m``, ``12h``, ``7d``, ``2w``; None: ``never``.

    Raises:
        ConfigError: it is none.
    """
    if text == "never":
        return None
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ConfigError(f"{text!r} is no length of time. Write seconds, or as in 45s, 30m, 12h, 7d, 2w; or never.")
    return float(found[1]) * _UNITS[found[2]]


def retention_ms(retention: timedelta | float | None) -> int | None:
    """How long a run or batch is kept after its end, in milliseconds; None: for ever.

    Raises:
        ConfigError: it is no length of time.
    """
    if retention is None:
        return None
    seconds = retention.total_seconds() if isinstance(retention, timedelta) else retention
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e9:
        raise ConfigError(
            f"retention {retention!r} is wrong: it is the seconds that a run or batch is kept after its end, a timedelta, or "
            "None for ever."
        )
    return int(seconds * 1000)


def _kept(keep: Any) -> dict[str, Any]:
    """The options that say which checkpoints stay."""
    if isinstance(keep, str) and keep in RETENTIONS:
        return {"keep": keep}
    if isinstance(keep, int | timedelta) and not isinstance(keep, bool):
        keep = CheckpointRetention(last=keep) if isinstance(keep, int) else CheckpointRetention(age=keep)
    if not isinstance(keep, CheckpointRetention):
        raise ConfigError(
            f"keep {keep!r} does not exist. Use one of {', '.join(RETENTIONS)}, a number of checkpoints, a timedelta, or a "
            "CheckpointRetention."
        )
    return {"keep": "all", "prune": (keep.last, None if keep.age is None else keep.age.total_seconds())}


def _check_retries(retries: Any) -> None:
    if retries is not None and (isinstance(retries, bool) or not isinstance(retries, int) or retries < 0):
        raise ConfigError(
            f"retry_budget {retries!r} is wrong: it is how often the tasks of a run may be tried again, all together; or None "
            "for as often as their retry policies say."
        )


def options_from(config: Mapping[str, Any], *, placement: str, **more: Any) -> RunOptions:
    """The options that a merged config asks for.

    Raises:
        ConfigError: a placement or retention that does not exist; a budget or time limit that is none.
    """
    if placement not in PLACEMENTS:
        raise ConfigError(f"placement {placement!r} does not exist. Use one of {', '.join(PLACEMENTS)}.")
    more.update(_kept(more.get("keep", "all")))
    if more.get("log", True) not in LOGS:
        raise ConfigError(f"log {more['log']!r} does not exist. Use True, False, 'full' or 'pieces'.")
    if more.get("profile") and not more.get("log", True):
        raise ConfigError("profile=True keeps times in the run's log, and log=False keeps none. Leave log=False out.")
    _check_retries(more.get("retries"))
    for limit in ("time_limit", "step_timeout"):
        more[limit] = seconds_of(limit, more.get(limit))
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


def changed(
    stored: RunOptions,
    config: Mapping[str, Any],
    *,
    context: Any,
    before: Any,
    after: Any,
    log: Any,
    profile: bool = False,
) -> RunOptions:
    """The options of a run that goes on, asked to with a merged config: what it names holds from now on.

    Breakpoints are those of this call alone, as in process; whatever else it does not name stays as it was.
    """
    asked = options_from(config, placement=stored.placement, before=before, after=after, log=log)
    return replace(
        asked,
        recursion_limit=config.get("recursion_limit", stored.recursion_limit),
        tags=tuple(dict.fromkeys((*stored.tags, *asked.tags))),
        metadata={**stored.metadata, **asked.metadata},
        configurable={**stored.configurable, **asked.configurable},
        context=stored.context if context is None else context,
        run_name=asked.run_name or stored.run_name,
        keep=stored.keep,
        prune=stored.prune,
        retries=stored.retries,
        time_limit=stored.time_limit,
        step_timeout=stored.step_timeout,
        log=asked.log if asked.log in FULL else stored.log or profile,
        profile=profile or stored.profile,
    )
