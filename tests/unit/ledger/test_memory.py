"""The twin beyond the contract: it can be taken back, it is deterministic, and OS threads may share it."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from distgraph.ledger.contract import Batches, Fleet, Runs
from distgraph.ledger.keys import Keys
from distgraph.ledger.memory import MemoryLedger
from distgraph.ledger.memory.tables import Journal, Table, Tables
from distgraph.ledger.replies import Address, Commit
from tests.conformance.ledger.layout import laid_out

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
RUN = Address("r1", "r1")


def memory() -> MemoryLedger:
    return MemoryLedger(Keys("ns"), lambda: 1_000)


def at_work(ledger: MemoryLedger) -> None:
    """A run with two tasks out, one of which has settled."""
    ledger.runs.submit(RUN, "d", {}, due_ms=0)
    ledger.runs.claim(RUN, "slot", sweep_ms=5)
    ledger.runs.commit(Commit(RUN, "slot", 1, "", "c1", "running", log=[b"1"], index_history=True))
    ledger.runs.offer(RUN, "slot", 1, "c1", 2, {}, sweep_ms=5)
    settle(ledger, "T1")


def settle(ledger: MemoryLedger, task: str) -> str:
    call = ledger.runs.settle_call(RUN, "slot", 1, "c1", task, b"n" * 16, b"w", sweep_ms=5)
    return ledger.runs.settle([call])[0].kind


def test_it_keeps_the_contract() -> None:
    ledger = memory()
    runs: Runs = ledger.runs
    batches: Batches = ledger.batches
    fleet: Fleet = ledger.fleet
    assert runs.keys is batches.keys is fleet.keys is ledger.keys


def test_it_needs_no_client_of_a_server() -> None:
    """A simulation, or a test of a user's graph, runs where none is installed."""
    code = "import sys, distgraph.ledger.memory; print('redis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"


def test_a_restored_ledger_is_as_it_was() -> None:
    """A server that lost its last seconds: what was done since is not known, and can be done again."""
    ledger = memory()
    at_work(ledger)
    before = laid_out(ledger, ledger.keys)
    snapshot = ledger.snapshot()
    assert settle(ledger, "T2") == "closed"
    ledger.runs.commit(Commit(RUN, "slot", 1, "c1", "c2", "done", offered=True, log=[b"2"]))
    ledger.batches.add("b", 0, "d", [b"x"], due_ms=0)
    ledger.fleet.beat("boot", {}, ttl_ms=5)
    ledger.restore(snapshot)
    assert laid_out(ledger, ledger.keys) == before
    assert settle(ledger, "T2") == "closed"


def test_a_snapshot_can_be_gone_back_to_more_than_once() -> None:
    ledger = memory()
    at_work(ledger)
    snapshot = ledger.snapshot()
    before = laid_out(ledger, ledger.keys)
    for _ in range(3):
        settle(ledger, "T2")
        ledger.restore(snapshot)
        assert laid_out(ledger, ledger.keys) == before


def test_of_two_snapshots_the_older_one_goes_further_back() -> None:
    ledger = memory()
    older = ledger.snapshot()
    at_work(ledger)
    between = laid_out(ledger, ledger.keys)
    newer = ledger.snapshot()
    settle(ledger, "T2")
    ledger.restore(newer)
    assert laid_out(ledger, ledger.keys) == between
    ledger.restore(older)
    assert laid_out(ledger, ledger.keys) == {}


def test_a_restored_server_is_another_one_to_its_users() -> None:
    """Sweepers must not take the lapse for the death of the workers."""
    ledger = memory()
    snapshot = ledger.snapshot()
    first, seconds = ledger.fleet.server()
    ledger.restore(snapshot)
    again, fewer = ledger.fleet.server()
    assert again != first
    assert fewer < seconds


def test_the_same_calls_give_the_same_state() -> None:
    """Nothing is random, and no order is left to chance."""

    def storm(seed: int) -> object:
        ledger, dice = memory(), random.Random(seed)
        ledger.batches.add("b", 0, "d", [b"x"] * 8, due_ms=0)
        at_work(ledger)
        for n in range(200):
            moves: list[Callable[[], object]] = [
                lambda: settle(ledger, dice.choice(["T1", "T2"])),
                lambda: ledger.runs.reclaim(RUN, "slot", crashed=True),
                lambda: ledger.runs.sweep(dice.randrange(8), most=3, push_ms=dice.randrange(5)),
                lambda n=n: ledger.batches.take("b", dice.randrange(8), f"s{n}", "slot", 2, sweep_ms=5),  # type: ignore[misc]
            ]
            dice.choice(moves)()
        return laid_out(ledger, ledger.keys)

    assert storm(1) == storm(1)
    assert storm(1) != storm(2)


def test_os_threads_may_share_it() -> None:
    """A hundred tasks, settled by four threads, each of them four times: one closes the barrier."""
    ledger = memory()
    ledger.runs.submit(RUN, "d", {}, due_ms=0)
    ledger.runs.claim(RUN, "slot", sweep_ms=5)
    ledger.runs.commit(Commit(RUN, "slot", 1, "", "c1", "running"))
    ledger.runs.offer(RUN, "slot", 1, "c1", 100, {}, sweep_ms=5)
    answers: list[str] = []

    def work(number: int) -> None:
        for task in range(100):
            call = ledger.runs.settle_call(
                RUN, f"slot-{number}", 1, "c1", f"T{task}", b"%016d" % number, b"w", sweep_ms=5
            )
            answers.append(ledger.runs.settle([call])[0].kind)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers.count("closed"), answers.count("ok"), answers.count("dup")) == (1, 99, 300)


# ---------------------------------------------------------------- tables


def test_a_table_unwinds_in_reverse() -> None:
    journal = Journal()
    table: Table[str, int] = Table(journal)
    table["kept"] = 1
    mark = journal.mark()
    table["kept"] = 2
    table["new"] = 3
    del table["kept"]
    table.drop("absent")
    journal.unwind(mark)
    assert table == {"kept": 1}


def test_nothing_is_written_down_before_somebody_asks() -> None:
    journal = Journal()
    table: Table[str, int] = Table(journal)
    table["x"] = 1
    assert journal.entries is None


def test_looking_makes_no_table() -> None:
    tables: Tables[str, int] = Tables(Journal())
    assert tables.look("x") == {}
    assert "x" not in tables
    tables.at("x")["n"] = 1
    assert tables.look("x") == {"n": 1}


def test_the_first_value_stands() -> None:
    table: Table[str, int] = Table(Journal())
    assert table.first("x", 1) == 1
    assert table.first("x", 2) == 1
