"""Ids that every process computes alike."""

from __future__ import annotations

import subprocess
import sys
import uuid

import pytest

from distgraph.superstep.identity import (
    checkpoint_id,
    digest_of,
    idempotency_key,
    interrupt_id,
    next_version,
    path_key,
    pull_path,
    task_id,
    task_ns,
    ticks_of,
)

pytestmark = pytest.mark.unit

ARGS = ("c1", "", 3, "node", ("__pregel_pull", "node"))


def test_ids_are_the_same_in_every_process() -> None:
    """Whatever its hash seed."""
    code = f"from distgraph.superstep.identity import *; print(task_id(*{ARGS!r}), digest_of({{'a', 'b', 'c'}}))"
    run = [sys.executable, "-c", code]
    outputs = {
        subprocess.run(run, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{task_id(*ARGS)} {digest_of({'a', 'b', 'c'})}\n"}


def test_every_part_of_a_task_matters_to_its_id() -> None:
    variants = [
        ARGS,
        ("c2", *ARGS[1:]),
        ("c1", "ns", *ARGS[2:]),
        ("c1", "", 4, *ARGS[3:]),
        ("c1", "", 3, "other", ARGS[4]),
        (*ARGS[:4], ("__pregel_push", 0, False)),
        (*ARGS[:4], ("__pregel_push", 1, False)),
    ]
    assert len({task_id(*each) for each in variants}) == len(variants)
    assert str(uuid.UUID(task_id(*ARGS))) == task_id(*ARGS)


def test_paths_sort_as_tasks_are_applied() -> None:
    """What came from outside, then nodes by name, then Sends by number."""
    paths = [(), pull_path("a"), pull_path("b"), *(("__pregel_push", n, False) for n in (0, 2, 10, 100))]
    assert sorted(paths, key=path_key) == paths


def test_namespaces_grow_inwards() -> None:
    assert task_ns("", "a", "1") == "a:1"
    assert task_ns("a:1", "b", "2") == "a:1|b:2"


def test_questions_of_one_task_have_different_ids() -> None:
    ids = [interrupt_id("a:1", index) for index in range(3)]
    assert len(set(ids)) == 3
    assert all(len(each) == 32 and int(each, 16) >= 0 for each in ids)


def test_idempotency_keys_name_the_place_in_the_run() -> None:
    assert idempotency_key("r", "", 1, pull_path("a")) != idempotency_key("r", "", 2, pull_path("a"))
    assert idempotency_key("r", "", 1, pull_path("a")) != idempotency_key("s", "", 1, pull_path("a"))


def test_checkpoint_ids_sort_by_time_and_look_like_uuids() -> None:
    ids = [checkpoint_id(ticks, noise) for ticks in (1, 2, 1_700_000_000_000_000) for noise in (0, 2**64 - 1)]
    assert sorted(ids) == ids
    assert len(set(ids)) == len(ids)
    assert all(str(uuid.UUID(each)) == each for each in ids)
    assert [ticks_of(each) for each in ids[::2]] == [1, 2, 1_700_000_000_000_000]


@pytest.mark.parametrize("foreign", ["", "c1", "1ef00000-0000-6000-9000-000000000000", "not a checkpoint at all"])
def test_ids_of_others_have_no_ticks(foreign: str) -> None:
    assert ticks_of(foreign) == 0


def test_versions_sort_and_differ_between_forks() -> None:
    first = next_version(None, 5)
    assert first < next_version(first, 0)
    assert next_version(first, 1) != next_version(first, 2)
