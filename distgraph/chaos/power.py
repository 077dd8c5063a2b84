"""Power loss: the server dies and the end of its append-only file with it; then it comes back, and everything goes on.

Killing a server loses little, for what it wrote is in the kernel's hands. So a power loss is a kill and a cut: bytes are
taken from the end of the file, as if they had never reached the disk. What must hold depends on the persistence level:

    standard   up to some seconds may be gone: all work is done again and comes to the same; a call that was acknowledged
               in these seconds may be forgotten, and is made again with the same id
    fsync      nothing that anybody was told may be gone: only bytes are cut that were written after the last result that
               was told. (More than a disk may lose: workers were told that these bytes were safe.)
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from distgraph.chaos.point_graphs import dice
from distgraph.chaos.rest import crashes, keys_of, settle, unrest
from distgraph.chaos.stand import Broken
from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import BatchLostError, BatchNotFoundError, DistgraphError, GraphNotFoundError
from distgraph.examples import sums
from distgraph.ledger.faults import guard

Level = Literal["standard", "fsync"]
LEVELS: tuple[Level, ...] = get_args(Level)

#: Items of one batch: small, so that every loss meets another moment of its life.
ITEMS = 24
#: The most that a loss takes from the file. Bytes.
MOST = 2 * 1024 * 1024
#: How long after the submission the power may go. Seconds.
WITHIN = 0.35
#: How long nobody listens any more before the power goes. Seconds.
UNHEARD = 0.05
#: How old the copy is at most that is put back where the file is rolled back. Seconds.
OLDER = 2.0
#: How long the rest of a batch may take afterwards. Seconds.
PATIENCE = 40.0


@dataclass(frozen=True, slots=True)
class Loss:
    """One power loss.

    Attributes:
        kind: "cut" (the file's end is gone) or "older" (an older copy was put back).
        cut: bytes that are gone.
        told: results that were told before.
        again: how many of those were computed again.
        seconds: from the loss to the end of the batch.
        problem: the promise that was broken, or ''.
    """

    level: str
    kind: str
    cut: int
    told: int
    again: int
    seconds: float
    problem: str = ""


class Plant:
    """A server of one persistence level, with workers that live through all losses. A context manager's worth of them."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.cluster: EmbeddedCluster = Cluster.embedded(
            workers=2,
            graphs=("distgraph.examples.sums", "distgraph.chaos.point_graphs"),
            namespace="power",
            persistence=level,
        )

    # ------------------------------------------------------------- the file

    def renewed(self) -> bool:
        """Whether workers have had the file written anew since the server started."""
        client, keys = self.cluster.ledger.client, self.cluster.ledger.keys
        with guard():
            told: Any = client.info()
            asked: Any = client.hget(keys.shared("meta"), "renewed")
        return asked == told["run_id"].encode() and not told["aof_rewrite_in_progress"]

    def copy(self) -> Path:
        """Copy the files as they are now."""
        folder = self.cluster.server.directory
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder / "appendonlydir", copy)
        return copy

    def size(self) -> int:
        """Bytes of all the files."""
        folder = self.cluster.server.directory
        return sum(part.stat().st_size for part in folder.glob("appendonly*/*") if part.is_file())

    def lose(self, count: int) -> None:
        """Kill the server, take ``count`` bytes from its file's end, start it again."""
        self.cluster.server.kill()
        file = self.cluster.server.append_file
        with file.open("rb+") as opened:
            opened.truncate(max(0, file.stat().st_size - count))
        self.cluster.server.restart()

    def put_back(self, copy: Path) -> int:
        """Kill the server and start it from an older copy; how many bytes that took."""
        self.cluster.server.kill()
        folder, now = self.cluster.server.directory, self.size()
        shutil.rmtree(folder / "appendonlydir")
        copy.rename(folder / "appendonlydir")
        self.cluster.server.restart()
        return max(0, now - self.size())


def run(
    times: int, seed: int, levels: Sequence[Level] = LEVELS, tell: Callable[[Loss], None] = lambda loss: None
) -> list[Loss]:
    """So many losses at each level in turn. After one that broke a promise its plant is made anew.

    Args:
        times: losses in all.
        seed: of what is drawn: moments, bytes, placements.
        levels: persistence levels.
        tell: called after each.
    """
    plants: dict[Level, Plant] = {}
    losses: list[Loss] = []
    try:
        for number in range(times):
            level = levels[number % len(levels)]
            plant = plants.get(level) or Plant(level)
            plants[level] = plant
            losses.append(_once(plant, number, random.Random(f"{seed}/{number}")))
            tell(losses[-1])
            if losses[-1].problem:
                plants.pop(level).cluster.close()
    finally:
        for plant in plants.values():
            plant.cluster.close()
    return losses


def _once(plant: Plant, number: int, draw: random.Random) -> Loss:
    trial = _Trial(plant, f"p{number}x", draw)
    kind = "older" if plant.level == "standard" and draw.random() < 0.25 else "cut"
    problem = ""
    try:
        trial.begin()
        trial.lose(kind)
        trial.check()
    except (Broken, DistgraphError) as error:
        problem = f"{type(error).__name__}: {error}"
    seconds = time.monotonic() - trial.lost_at
    return Loss(plant.level, kind, trial.cut, len(trial.told), trial.again, round(seconds, 3), problem)


class _Trial:
    """One batch and one run, through one loss."""

    def __init__(self, plant: Plant, name: str, draw: random.Random) -> None:
        self.plant, self.cluster, self.name, self.draw = plant, plant.cluster, name, draw
        self.placement: Any = draw.choice(["auto", "auto", "spread"])
        delay = draw.choice([0, 2, 6])
        self.items = [{"index": index, "delay_ms": delay} for index in range(ITEMS)]
        self.item: Any = {"index": 5, "width": 3, "rounds": 2, "delay_ms": draw.choice([0, 3])}
        #: Index -> what was told of an item before the loss.
        self.told: dict[int, Any] = {}
        self.run_told: Any = None
        self.cut = self.again = 0
        self.lost_at = time.monotonic()

    def begin(self) -> None:
        """Submit, to a server whose file is whole: what was cut off in the middle of a script would count later."""
        found = settle(lambda: [] if self.plant.renewed() else ["it is not"], PATIENCE)
        self._expect(found, [], "the file is written anew after a start of the server")
        self.submit()

    def submit(self) -> None:
        """Make the two calls. Made again they change nothing."""
        self.batch = self.cluster.bind(dice, placement=self.placement).submit_batch(
            self.items, batch_id=f"{self.name}-batch"
        )
        self.run = self.cluster.bind(sums.graph, placement=self.placement).submit(self.item, run_id=f"{self.name}-run")

    def _submit_again(self) -> None:
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                self.submit()
                return
            except GraphNotFoundError:
                # Even what the workers serve is gone; they say it again.
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.02)

    def lose(self, kind: str) -> None:
        """Listen to results for a moment; then the power goes."""
        copy: Path | None = None
        until = time.monotonic() + self.draw.uniform(0, WITHIN)
        if kind == "older":
            copy = self.plant.copy()
            until = time.monotonic() + self.draw.uniform(0, min(OLDER, 2 * WITHIN))
        file, told = self.plant.cluster.server.append_file, 0
        while True:
            self.told.update({result.index: result.value for result in self.batch.results() if result.status == "done"})
            if self.run.status() == "done":
                self.run_told = self.run.result(5)
            # Whatever was told is before this place in the file.
            told = file.stat().st_size
            if time.monotonic() >= until:
                break
            time.sleep(0.005)
        # What is written from here on, nobody was told.
        time.sleep(self.draw.uniform(0, UNHEARD))
        self.lost_at = time.monotonic()
        if copy is not None:
            self.cut = self.plant.put_back(copy)
            return
        self.cluster.server.kill()
        written = self.plant.cluster.server.append_file.stat().st_size
        most = min(MOST, written - told if self.plant.level == "fsync" else written)
        # Small cuts as often as large ones: a torn record is another thing than a minute that is gone.
        self.cut = min(most, int(2 ** self.draw.uniform(0, 21)))
        self.plant.lose(self.cut)

    def check(self) -> None:
        """Everything comes to its end, and to the right one."""
        if self.plant.level != "fsync":
            # What was acknowledged in the last moments may be forgotten: the same calls again, with the same ids.
            self._submit_again()
        try:
            status = self.batch.wait(PATIENCE)
        except (TimeoutError, BatchNotFoundError, BatchLostError) as error:
            raise Broken(f"{error} Held or owed: {unrest(self.cluster)[:10]}") from None
        self._check_items(status)
        self._check_run()
        self._expect(crashes(self.cluster, self.batch.batch_id), {}, "crashes counted, of which there were none")
        self._expect(settle(lambda: unrest(self.cluster), 10), [], "owed or held at the end")
        self.batch.delete()
        self.cluster.ledger.runs.delete(self.run._address)
        saver: Any = self.cluster.saver(self.cluster.codec())
        with saver:
            saver.delete_thread(self.run.thread_id)
        self._expect(keys_of(self.cluster, self.name), [], "keys left of what was deleted")

    def _check_items(self, status: Any) -> None:
        self._expect((status.total, status.done, status.failed), (ITEMS, ITEMS, 0), "items: total, done, failed")
        results = list(self.batch.results())
        self._expect([result.index for result in results], list(range(ITEMS)), "items with a result")
        sums_of_items = [sum(result.value["throws"]) - result.value["index"] for result in results]
        self._expect([result.value["sum"] for result in results], sums_of_items, "sums of what the dice showed")
        self._expect([len(result.value["throws"]) for result in results], [4] * ITEMS, "throws of each item")
        changed = [index for index, value in self.told.items() if results[index].value != value]
        self.again = len(changed)
        if self.plant.level == "fsync":
            self._expect(changed, [], "items whose result changed after it was told")

    def _check_run(self) -> None:
        try:
            found = self.run.result(PATIENCE)
        except TimeoutError as error:
            raise Broken(f"{error} Held or owed: {unrest(self.cluster)[:10]}") from None
        self._expect(found, sums.expected(self.item), "the run's result")
        where: Any = {"configurable": {"thread_id": self.run.thread_id}}
        history = list(self.cluster.bind(sums.graph).get_state_history(where))
        steps = [snapshot.metadata["step"] for snapshot in history]
        self._expect(steps, list(range(steps[0], steps[-1] - 1, -1)), "supersteps of the run's checkpoints")
        ids = [snapshot.config["configurable"]["checkpoint_id"] for snapshot in history]
        parents = [s.parent_config and s.parent_config["configurable"]["checkpoint_id"] for s in history]
        self._expect(parents[:-1], ids[1:], "parents of the run's checkpoints")

    def _expect(self, found: Any, wanted: Any, what: str) -> None:
        if found != wanted:
            raise Broken(f"{what}: found {found!r}, expected {wanted!r} ({self.plant.level}, cut {self.cut} bytes)")


def figures(losses: Sequence[Loss]) -> dict[str, Any]:
    """What the report says."""
    slow = sorted(loss.seconds for loss in losses)
    return {
        "losses": len(losses),
        "items": len(losses) * ITEMS,
        "bytes": sum(loss.cut for loss in losses),
        "told": sum(loss.told for loss in losses),
        "computed again": sum(loss.again for loss in losses),
        "told at fsync": sum(loss.told for loss in losses if loss.level == "fsync"),
        "changed at fsync": sum(loss.again for loss in losses if loss.level == "fsync"),
        "median seconds": slow[len(slow) // 2] if slow else 0.0,
        "worst seconds": slow[-1] if slow else 0.0,
        "failed": sum(bool(loss.problem) for loss in losses),
    }
