"""What goes wrong inside a node comes back to whoever waits, as what it was."""

from __future__ import annotations

import time
import traceback
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import CodecError, NodeTimeoutError, RemoteNodeError
from distgraph.examples import flaky
from distgraph.types import Placement
from tests.graphs import hard
from tests.integration.cluster.at_rest import wait_at_rest
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

placements = pytest.mark.parametrize("placement", get_args(Placement))


@placements
class TestExceptions:
    def test_a_builtin_one(self, cluster: EmbeddedCluster, placement: Placement) -> None:
        """Its type, its text, and where on the worker it was raised."""
        with pytest.raises(ValueError, match="no such thing as value") as caught:
            cluster.bind(hard.raises, placement=placement).invoke({"kind": "value"})
        shown = "".join(traceback.format_exception(caught.value))
        assert "work_raises" in shown
        assert "hard.py" in shown
        wait_at_rest(cluster)

    def test_one_of_the_users_own(self, cluster: EmbeddedCluster, placement: Placement) -> None:
        with pytest.raises(hard.OwnError) as caught:
            cluster.bind(hard.raises, placement=placement).invoke({"kind": "own"})
        assert caught.value.args == ("mine", 7)

    def test_one_whose_class_is_out_of_reach(self, cluster: EmbeddedCluster, placement: Placement) -> None:
        with pytest.raises(RemoteNodeError, match=r"HiddenError: out of sight"):
            cluster.bind(hard.raises, placement=placement).invoke({"kind": "local"})

    @pytest.mark.parametrize("kind", ["lock", "lambda", "file", "module"])
    def test_state_that_cannot_be_stored(self, cluster: EmbeddedCluster, placement: Placement, kind: str) -> None:
        """The error names the key, the place in the value and the type; the run fails at once, and only it."""
        with pytest.raises(CodecError, match=r"(?s)\$.deep\[0\]: type .*key 'value'"):
            cluster.bind(hard.unstorable, placement=placement).invoke({"kind": kind})
        wait_at_rest(cluster)

    @pytest.mark.parametrize(
        ("how", "error"),
        [
            ("sys.exit", SystemExit),
            ("recursion", RecursionError),
            ("memory", MemoryError),
            ("keyboard", KeyboardInterrupt),
        ],
    )
    def test_ends_of_other_kinds(
        self, cluster: EmbeddedCluster, placement: Placement, how: str, error: type[BaseException]
    ) -> None:
        """No way for a node to end takes the worker along, or leaves the run waiting."""
        run = cluster.bind(hard.exits, placement=placement).submit({"how": how})
        with pytest.raises((error, RemoteNodeError), match=None) as caught:
            run.result(20)
        assert isinstance(caught.value, error) or error.__name__ in str(caught.value)
        assert run.status() == "failed"
        wait_at_rest(cluster)


@placements
def test_a_time_limit(cluster: EmbeddedCluster, placement: Placement) -> None:
    """An async node that takes too long fails; one that does not is not bothered."""
    remote = cluster.bind(hard.slow_graph, placement=placement)
    assert remote.invoke({"seconds": 0.0})["done"]
    with pytest.raises(NodeTimeoutError, match="slow"):
        remote.invoke({"seconds": 30.0})
    batch = remote.submit_batch([{"seconds": 0.0}, {"seconds": 30.0}] * 3)
    status = batch.wait(20)
    assert (status.done, status.failed) == (3, 3)
    wait_at_rest(cluster)


def test_what_looks_like_a_secret_is_not_stored(cluster: EmbeddedCluster) -> None:
    run = cluster.bind(hard.raises).submit({"kind": "secret"})
    with pytest.raises(RuntimeError) as caught:
        run.result(20)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@placements
class TestRetries:
    def test_until_it_works(self, cluster: EmbeddedCluster, placement: Placement) -> None:
        result = cluster.bind(flaky.graph, placement=placement).invoke({"index": 4, "failures": 2})
        assert result["stored"] == "page 4, attempt 3"
        wait_at_rest(cluster)

    def test_until_the_policy_gives_up(self, cluster: EmbeddedCluster, placement: Placement) -> None:
        with pytest.raises(ConnectionError, match="no answer in attempt 3"):
            cluster.bind(flaky.graph, placement=placement).invoke({"index": 4, "failures": 9})
        wait_at_rest(cluster)

    def test_not_at_all_for_other_errors(self, cluster: EmbeddedCluster, placement: Placement) -> None:
        with pytest.raises(ValueError, match="item 4 is invalid"):
            cluster.bind(flaky.graph, placement=placement).invoke({"index": 4, "invalid": True})

    def test_between_attempts_it_waits_in_the_ledger(
        self, cluster: EmbeddedCluster, placement: Placement, tmp_path: Path
    ) -> None:
        """No slot is held meanwhile, the time between attempts is what the policy says, the key stays the same."""
        log = tmp_path / "log"
        runs = [
            cluster.bind(hard.tries, placement=placement).submit({"failures": 3, "log": f"{log}{index}"})
            for index in range(6)
        ]
        wait_until(lambda: all(Path(f"{log}{index}").exists() for index in range(6)))
        wait_until(lambda: all(worker.busy == 0 for worker in cluster.workers()), 3, "a moment with all slots free")
        assert not any(run.status() in ("done", "failed") for run in runs)
        began = time.monotonic()
        assert [run.result(20)["attempts"] for run in runs] == [4] * 6
        assert time.monotonic() - began < 6  # six runs wait side by side, not one after the other
        for index in range(6):
            lines = [line.split() for line in Path(f"{log}{index}").read_text().splitlines()]
            assert [int(attempt) for attempt, _, _ in lines] == [1, 2, 3, 4]
            assert len({key for _, _, key in lines}) == 1
            times = [float(at) for _, at, _ in lines]
            assert all(later - sooner >= 0.49 for sooner, later in pairwise(times))
        wait_at_rest(cluster)


def test_a_failed_run_goes_on_where_it_failed(cluster: EmbeddedCluster) -> None:
    """`retry` runs what did not finish, with all its attempts again, and nothing before it."""
    run = cluster.bind(flaky.graph).submit({"index": 4, "failures": 9})
    for _ in range(2):
        with pytest.raises(ConnectionError, match="no answer in attempt 3"):
            run.result(20)
        run.retry()
    with pytest.raises(ConnectionError):
        run.result(20)
    wait_at_rest(cluster)
