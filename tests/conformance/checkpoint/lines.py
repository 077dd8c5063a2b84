"""Lines of checkpoints, made by hand as an engine makes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint, CheckpointTuple

Saver = BaseCheckpointSaver[str]
Config = dict[str, Any]


def thread(name: str = "t", *, ns: str | None = "", at: str | None = None, **more: Any) -> Config:
    """A config that names a thread, and with ``at`` a checkpoint of it."""
    configurable: dict[str, Any] = {"thread_id": name, **more}
    if ns is not None:
        configurable["checkpoint_ns"] = ns
    if at is not None:
        configurable["checkpoint_id"] = at
    return {"configurable": configurable}


def version(step: int, branch: str = "a") -> str:
    """The version of what superstep ``step`` changed; branches from one checkpoint have different ones."""
    return f"{step:016d}.{branch}"


class Line:
    """A thread that grows superstep by superstep, as an engine stores it: only what changed is named as new.

    Attributes:
        head: the latest checkpoint as it was stored.
        config: names it.
    """

    def __init__(self, saver: Saver, name: str = "t", *, ns: str = "", branch: str = "a") -> None:
        self.saver, self.name, self.ns, self.branch = saver, name, ns, branch
        self.step = -1
        self.config = thread(name, ns=ns)
        self.head: Checkpoint = {
            "v": 4,
            "id": "",
            "ts": "",
            "channel_values": {},
            "channel_versions": {},
            "versions_seen": {},
            "updated_channels": None,
        }

    def grow(self, metadata: Mapping[str, Any] | None = None, /, **changed: Any) -> str:
        """Store the next checkpoint, in which these channels changed; its id."""
        new = dict.fromkeys(changed, version(self.step + 2, self.branch))
        self.head = {
            "v": 4,
            "id": f"{self.step + 2:08d}-{self.branch}",
            "ts": "2030-01-01T00:00:00+00:00",
            "channel_values": {**self.head["channel_values"], **changed},
            "channel_versions": {**self.head["channel_versions"], **new},
            "versions_seen": {"node": new},
            "updated_channels": sorted(changed),
            "clock": version(self.step + 2, self.branch),
        }
        told: Any = {
            "source": "loop" if self.step >= 0 else "input",
            "step": self.step,
            "parents": {},
            **(metadata or {}),
        }
        self.config = self.saver.put(self.config, self.head, told, new)
        self.step += 1
        return self.head["id"]

    def fork(self, at: str, branch: str) -> Line:
        """Another line that goes on from the checkpoint ``at`` of this one."""
        other = Line(self.saver, self.name, ns=self.ns, branch=branch)
        found = self.saver.get_tuple(thread(self.name, ns=self.ns, at=at))
        assert found is not None
        other.head, other.config, other.step = found.checkpoint, found.config, self.step
        return other


def ids(found: Any) -> list[str]:
    """The ids of checkpoint tuples, in their order."""
    return [one.checkpoint["id"] for one in found]


def stored(saver: Saver, config: Config) -> CheckpointTuple:
    """The checkpoint that ``config`` names; it must be there."""
    found = saver.get_tuple(config)
    assert found is not None
    return found
