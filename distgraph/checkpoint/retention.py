"""Which checkpoints of a thread are kept, and what goes with the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from distgraph.errors import ConfigError

#: Checkpoints more than are kept before a saver, or a worker, deletes them: it looks at all that stay each time.
SLACK = 16


@dataclass(frozen=True, slots=True)
class CheckpointRetention:
    """How many checkpoints of a thread stay, and for how long. The newest one always does.

    Attributes:
        last: so many of the newest; None: any number.
        age: those that were made within this time; None: of any age.

    Raises:
        ConfigError: neither is given; ``last`` is no number from 1, or ``age`` no positive timedelta.
    """

    last: int | None = None
    age: timedelta | None = None

    def __post_init__(self) -> None:
        wrong = self.last is not None and (
            isinstance(self.last, bool) or not isinstance(self.last, int) or self.last < 1
        )
        odd = self.age is not None and (not isinstance(self.age, timedelta) or self.age <= timedelta(0))
        if wrong or odd or (self.last is None and self.age is None):
            raise ConfigError(
                f"{self!r} keeps nothing that can be told: give last, a number from 1, or age, a positive timedelta, or both."
            )

    def doomed(self, newest_first: Sequence[tuple[str, str]], now: datetime, needed: Iterable[str] = ()) -> set[str]:
        """Those that go.

        Args:
            newest_first: id and time (ISO 8601) of each checkpoint.
            now: with a time zone.
            needed: ids that stay whatever their age.
        """
        last = len(newest_first) if self.last is None else self.last
        gone = {name for name, _ in newest_first[last:]}
        if self.age is not None:
            oldest = now - self.age
            gone |= {name for name, ts in newest_first if ts and _moment(ts, now) < oldest}
        return gone - {name for name, _ in newest_first[:1]} - set(needed)


#: What ``prune`` leaves of a thread: the latest checkpoint of each namespace, nothing, or what a retention says.
PruneStrategy = Literal["keep_latest", "delete"] | CheckpointRetention


def retention_of(strategy: Any) -> CheckpointRetention | None:
    """What a strategy of ``prune`` keeps; None: nothing.

    Raises:
        ConfigError: there is no such strategy.
    """
    if isinstance(strategy, CheckpointRetention):
        return strategy
    if strategy not in ("keep_latest", "delete"):
        raise ConfigError(
            f"strategy {strategy!r} does not exist. Use 'keep_latest', 'delete', or a CheckpointRetention(last=, age=)."
        )
    return None if strategy == "delete" else CheckpointRetention(last=1)


def _moment(ts: str, now: datetime) -> datetime:
    found = datetime.fromisoformat(ts)
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)


class Portion(NamedTuple):
    """Checkpoints that go in one step, and the fields that go with them."""

    ids: list[str]
    fields: list[str]


def portions(
    doomed: Sequence[tuple[str, Sequence[str]]], named: Iterable[str], *, most_ids: int, most_fields: int
) -> list[Portion]:
    """What goes in which step, the oldest first: whenever somebody stops, all that is left is whole.

    A value goes with the last of those that name it, and not at all where a checkpoint that stays does.

    Args:
        doomed: the checkpoints that go, newest first, and the fields that each names.
        named: fields that those name that stay.
        most_ids: checkpoints of one step.
        most_fields: fields of one step, where it has more than one checkpoint.
    """
    taken = set(named)
    parts: list[Portion] = []
    own: list[tuple[str, list[str]]] = []
    for name, fields in doomed:
        mine = [field for field in dict.fromkeys(fields) if field not in taken]
        taken.update(mine)
        own.append((name, mine))
    for name, mine in reversed(own):
        if not parts or len(parts[-1].ids) >= most_ids or len(parts[-1].fields) + len(mine) > most_fields:
            parts.append(Portion([], []))
        parts[-1].ids.append(name)
        parts[-1].fields.extend(mine)
    return parts
