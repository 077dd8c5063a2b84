"""Patience: what passes is waited for, what does not is told at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from distgraph.errors import ServerAuthError, ServerLoadingError, ServerUnreachableError, StoreError
from distgraph.ledger.patience import MOST, RESULTS, Patience
from distgraph.ledger.scripts import Call, Scripts, sources

pytestmark = pytest.mark.unit


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def patience(clock: Clock, seconds: float = 60.0) -> Patience:
    return Patience(seconds, monotonic=lambda: clock.now, sleep=clock.sleep)


def failing(*errors: Exception) -> Callable[[], str]:
    """A call that raises these, one after the other, and then works."""
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "stored"

    return call


def test_what_works_is_not_waited_for(clock: Clock) -> None:
    assert patience(clock).through(failing()) == "stored"
    assert clock.slept == []


def test_an_outage_is_waited_for_ever_longer_but_never_long(clock: Clock) -> None:
    errors = [ServerUnreachableError("gone")] * 10 + [ServerLoadingError("loading")] * 10
    assert patience(clock).through(failing(*errors)) == "stored"
    assert len(clock.slept) == 20
    assert clock.slept[0] < 0.1 < clock.slept[3]
    assert max(clock.slept) <= MOST


def test_it_ends(clock: Clock) -> None:
    with pytest.raises(ServerUnreachableError):
        patience(clock, 5.0).through(failing(*[ServerUnreachableError("gone")] * 1000))
    assert 4.0 < sum(clock.slept) <= 5.0


def test_no_patience_gives_up_at_once(clock: Clock) -> None:
    with pytest.raises(ServerUnreachableError):
        patience(clock, 0.0).through(failing(ServerUnreachableError("gone")))
    assert clock.slept == []


@pytest.mark.parametrize("error", [ServerAuthError("who?"), StoreError("a bug")])
def test_what_does_not_pass_is_told_at_once(clock: Clock, error: StoreError) -> None:
    with pytest.raises(type(error)):
        patience(clock).through(failing(error))
    assert clock.slept == []


def test_results_are_scripts_that_there_are() -> None:
    """And none of those that ask for more work: without the ledger no work is taken."""
    assert sources().keys() >= RESULTS
    assert RESULTS.isdisjoint({"claim_run", "claim_task", "batch_take", "submit", "sweep", "reclaim"})


class Away(Scripts):
    """A server that is away for a number of calls."""

    def __init__(self, patience: Patience | None, times: int) -> None:
        super().__init__(None, patience)  # type: ignore[arg-type]
        self.left = times

    def _run(self, call: Call) -> str:
        return self._run_all([call])[0]

    def _run_all(self, calls: object) -> list[str]:
        if self.left:
            self.left -= 1
            raise ServerUnreachableError("gone")
        return ["ok"]


@pytest.mark.parametrize("several", [False, True])
def test_only_results_are_offered_again(clock: Clock, several: bool) -> None:
    def run(name: str, patience: Patience | None) -> object:
        scripts = Away(patience, 3)
        calls = [Call(name, (), ()), Call("look", (), ())]
        return scripts.run_all(calls) if several else scripts.run(calls[0])

    assert run("commit", patience(clock)) == (["ok"] if several else "ok")
    for name, patient in (("claim_run", patience(clock)), ("commit", None)):
        with pytest.raises(ServerUnreachableError):
            run(name, patient)
