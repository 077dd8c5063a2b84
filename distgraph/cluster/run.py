"""One leased run, read from the ledger."""

from __future__ import annotations

from distgraph.checkpoint.lines import value_fields
from distgraph.cluster import events
from distgraph.cluster.aging import RULE
from distgraph.cluster.context import context_for
from distgraph.cluster.hints import RunHint
from distgraph.cluster.lane import WRITER, Lane
from distgraph.cluster.limits import Ends, ends_of
from distgraph.cluster.liveness import Called
from distgraph.cluster.naps import LedgerNaps
from distgraph.cluster.options import FULL, RunOptions
from distgraph.cluster.outside import outside_of
from distgraph.cluster.registry import Served
from distgraph.cluster.rows import naming, result_row
from distgraph.cluster.stopwatch import Stopwatch, timed
from distgraph.cluster.workplace import BESIDE_OTHERS, TREE_DIED, Workplace
from distgraph.errors import CheckpointCorruptError, InvalidUpdateError
from distgraph.ledger import seam
from distgraph.ledger.replies import Address, Record


class Run:
    """One leased run: its record, its lane, its address."""

    __slots__ = (
        *("address", "batch_epoch", "elsewhere", "ends", "epoch", "first", "lane", "options"),
        *("record", "served", "unpruned", "until", "watch"),
    )
    #: Its tasks may have been tried before.
    fresh = False

    def __init__(self, address: Address, served: Served, options: RunOptions, record: Record, lane: Lane) -> None:
        self.address, self.served, self.options, self.record, self.lane = address, served, options, record, lane
        self.epoch = int(record["epoch"])
        lane.epoch = str(self.epoch)
        self.batch_epoch = record.get("batch_e", b"").decode()
        self.until = 0.0
        #: Notes the times of a run that is profiled.
        self.watch: Stopwatch | None = None
        #: When its time limits are over, as of the claim.
        self.ends = Ends()
        #: Checkpoints of its thread more than are to be kept; None: nobody has counted them yet.
        self.unpruned: int | None = None
        #: Its tasks, or those of a run before it, may have run graphs elsewhere, since somebody dropped their lines.
        self.elsewhere = "stop" in record or bool(lane.stored.id)
        #: Nothing was committed yet since the run was submitted or resumed.
        self.first = "stop" not in record or record.get("go", b"") == lane.stored.id.encode()

    @property
    def suspect(self) -> bool:
        """A process died, and it is not known of what: its tasks run alone, so that the next death tells."""
        why = self.record.get("why", b"").decode()
        return int(self.record.get("x", b"0")) > 0 and (why == TREE_DIED or why.endswith(BESIDE_OTHERS))

    def row(self, kind: str, data: bytes) -> bytes:
        """The result row of a batch item; empty for a run that is none."""
        return result_row(kind, self.record.get("key", b""), data) if self.batch_epoch else b""

    def called(self, node: str, key: str, attempt: int) -> Called:
        """What the slot's row says while ``node`` runs."""
        epoch = f"{self.epoch}/{self.batch_epoch}"
        return Called("n", self.address.run_id, self.address.thread_id, epoch, key, attempt, "", node)


def open_run(place: Workplace, served: Served, address: Address, head: str, record: Record) -> Run:
    """Read a leased run from the ledger and stand at its head.

    Raises:
        CheckpointCorruptError: the head cannot be read.
        Left: the run has gone on meanwhile.
    """
    with naming(f"Options of run {address.run_id!r}"):
        options = served.options(record["config"])
    watch = Stopwatch(place) if options.profile else None
    served = served if watch is None else timed(served, watch)
    shelf = place.shelf(served)
    emit = events.emitter(place, served, address) if options.log else None
    full = options.log in FULL
    effects = events.LedgerEffects(place, served.codec, address)
    naps = LedgerNaps(place.runs, address)
    ctx = context_for(
        served,
        options,
        run_id=address.run_id,
        thread_id=address.thread_id,
        effects=effects,
        naps=naps,
        emit=emit,
        modes=frozenset({"custom", "messages", "tools"} if full else {"custom"}) if emit else frozenset(),
        cancelled=place.cancelled,
        shelf=shelf,
    )
    if full:
        ctx.pieces = options.log == "pieces"
        ctx.nested_emit, ctx.nested_modes = emit, events.NESTED_MODES
    lane = Lane(place, served, options, ctx)
    if head:
        load_head(place, lane, address, head)
        if record.get("at") == head.encode():
            lane.settle(outcomes_at(place, address, head, int(record["epoch"])))
        take_outside(lane, record, head)
    run = Run(address, served, options, record, lane)
    run.watch = watch
    run.ends = ends_of(record, place.monotonic())
    return run


def take_outside(lane: Lane, record: Record, head: str) -> None:
    """Apply what the record of a run at ``head`` has from outside its tasks."""
    meant, writes = outside_of(lane.served.codec, record)
    if meant == head:
        try:
            lane.take_outside(writes)
        except Exception as exc:
            lane.wrong = exc
    elif meant and record.get("go", b"") == meant.encode():
        # Nothing of the run is stored since: somebody has changed the thread in the moment between.
        lane.wrong = InvalidUpdateError(
            f"The Command was made for checkpoint {meant}, and the thread stands at {head} since somebody changed it "
            "meanwhile. Nothing of it was applied: look at the thread's state, and give it again."
        )


class Left(Exception):
    """The run has left this checkpoint while it was read: somebody else drives it."""


def outcomes_at(place: Workplace, address: Address, head: str, epoch: int) -> dict[str, bytes]:
    """What the tasks of an offered superstep after ``head`` have come to.

    Raises:
        Left: the run has gone on or was cancelled, and its outcomes are gone with that: who took their absence for work to
            do would run what has settled long ago.
    """
    found = place.runs.outcomes(address)
    # Outcomes go when the head moves or the epoch ends; where both still stand, they stood when they were read.
    stands = place.runs.read_line(address.thread_id, ["head"])[0]
    now = place.runs.peek(place.runs.keys.partition(address.thread_id), address.run_id, ("epoch",))[0]
    if stands != head.encode() or now != str(epoch):
        raise Left(head)
    return found


def load_head(place: Workplace, lane: Lane, address: Address, head: str) -> None:
    """Stand at checkpoint ``head`` of the run's thread.

    Raises:
        CheckpointCorruptError: it cannot be read.
        Left: the run has gone on meanwhile, and what is not kept of that checkpoint is gone.
    """
    seam.reach("load", "before")
    # The head is read in one with the rest: what lacks where it still stands is damage, and nothing else is.
    before, record = place.runs.read_line(address.thread_id, ["head", f"c:{head}"])
    bare = None if record is None else lane.bare(head, record)
    fields = [*(() if bare is None else value_fields(bare)), WRITER, RULE]
    after, *values = place.runs.read_line(address.thread_id, ["head", *fields])
    try:
        lane.load(bare or lane.bare(head, None), dict(zip(fields, values, strict=True)))
    except CheckpointCorruptError:
        if {before, after} != {head.encode()}:
            raise Left(head) from None
        raise
    seam.reach("load", "after")


def hint_of(run: Run, *, again: bool = False) -> RunHint:
    """The hint to drive this run on."""
    return RunHint(run.address.run_id, run.address.thread_id, run.served.name, run.served.fingerprint, again=again)
