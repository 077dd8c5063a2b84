"""Tasks that a node has called, taken by slots that have nothing to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from distgraph.cluster.hints import CallHint
from distgraph.cluster.sharing import find, list_of, named, path_of
from distgraph.func import entrypoint, task
from distgraph.testing import InProcessCluster
from distgraph.types import interrupt
from tests.unit.cluster.small import cluster_of

pytestmark = pytest.mark.unit

#: What task n does, besides noting its number; set by each test.
does: dict[int, Callable[[], Any]] = {}
ran: list[int] = []


@task
def numbered(n: int) -> Any:
    ran.append(n)
    return does[n]() if n in does else n


@entrypoint()
def flow(width: int) -> list[Any]:
    return [future.result() for future in [numbered(n) for n in range(width)]]


@pytest.fixture(autouse=True)
def forgets() -> None:
    does.clear()
    ran.clear()


def sharing_cluster(**options: Any) -> InProcessCluster:
    """Two slots that can say of each other where they are."""
    cluster = cluster_of(flow, **options)
    for slot in cluster.slots:
        slot.place.at_run = lambda name, run_id: any(name == other.name for other in cluster.slots if not other.dead)
    return cluster


def others_work(cluster: InProcessCluster) -> Callable[[], str]:
    """The other slot takes what is offered while this task runs."""

    def work() -> str:
        while cluster.broker.hints() and cluster.step():
            pass
        return "shared"

    return work


def test_what_nobody_has_started_is_taken_from_its_end() -> None:
    cluster = sharing_cluster()
    does[0] = others_work(cluster)
    assert cluster.submit(flow, 4, placement="spread").result(10) == ["shared", 1, 2, 3]
    assert ran == [0, 3, 2, 1]


def test_a_task_that_fails_elsewhere_fails_its_caller() -> None:
    cluster = sharing_cluster()

    def fails() -> None:
        raise KeyError("nothing")

    does[0], does[2] = others_work(cluster), fails
    run = cluster.submit(flow, 3, placement="spread")
    with pytest.raises(KeyError, match="nothing"):
        run.result(10)
    assert ran == [0, 2, 1]


def test_a_task_that_asks_elsewhere_asks_through_its_caller() -> None:
    cluster = sharing_cluster()
    does[0], does[1] = others_work(cluster), lambda: interrupt("how many?")
    run = cluster.submit(flow, 2, placement="spread")
    assert [asked.value for asked in run.result(10)["__interrupt__"]] == ["how many?"]
    assert run.resume(5).result(10) == ["shared", 5]
    assert ran == [0, 1, 1, 1]


def test_an_offer_that_comes_late_or_twice_finds_nothing_to_do() -> None:
    cluster = sharing_cluster()
    run = cluster.submit(flow, 3, placement="spread")
    cluster.run_until_idle()
    assert run.result(0) == [0, 1, 2]
    assert ran == [0, 1, 2]
    assert not any(isinstance(hint, CallHint) for hint in cluster.broker.hints())


def test_a_slot_that_dies_gives_its_task_back_to_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = sharing_cluster()
    monkeypatch.setattr("distgraph.cluster.sharing.time.sleep", lambda seconds: cluster.clock.advance(seconds))

    def dies() -> int:
        if cluster.deaths == 0 and ran.count(2) == 1:
            cluster.crash(next(slot for slot in reversed(cluster.slots) if slot.busy))
        return 2

    does[0], does[2] = others_work(cluster), dies
    assert cluster.submit(flow, 3, placement="spread").result(10) == ["shared", 1, 2]


def test_who_is_found_by_name() -> None:
    name = named(numbered.node)
    assert name == f"{__name__}:numbered"
    assert find(name) is numbered

    @task
    def inner() -> None: ...

    assert named(inner.node) is None
    assert find("os:system") is find("nowhere:at.all") is find(f"{__name__}:flow") is None


def test_paths_travel_as_lists() -> None:
    path = ("__pregel_push", ("__pregel_pull", "a"), 3, True)
    assert path_of(list_of(path)) == path
