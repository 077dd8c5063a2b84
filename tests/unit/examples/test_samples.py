"""What all samples have in common."""

from __future__ import annotations

import doctest
import importlib

import pytest

import workers.graphs

SAMPLES = ("chain", "crunch", "flaky", "human_review", "map_reduce", "sums", "workflow")

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", SAMPLES)
def test_what_the_docstring_shows_is_what_happens(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"distgraph.examples.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", [*SAMPLES, "census"])
def test_workers_serve_every_sample_under_its_own_name(name: str) -> None:
    assert getattr(workers.graphs, name).name == name


def test_the_operators_list_names_all_it_serves() -> None:
    assert sorted(workers.graphs.__all__) == sorted([*SAMPLES, "census"])
