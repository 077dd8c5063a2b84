"""A channel that collects."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.channels import Topic
from distgraph.types import MISSING

pytestmark = pytest.mark.unit


def test_a_topic_collects_one_superstep() -> None:
    """Lists are flattened, and the next superstep begins anew."""
    topic: Topic[int, Any] = Topic(int)
    assert topic.reduce(MISSING, [1, [2, 3], (4, 5)]) == [1, 2, 3, (4, 5)]
    assert topic.reduce([1], [2]) == [2]
    assert topic.reduce([1], []) is MISSING
    assert topic.reduce(MISSING, [[]]) is MISSING


def test_an_accumulating_topic_keeps_everything() -> None:
    topic: Topic[int, Any] = Topic(int, accumulate=True)
    before = [1]
    assert topic.reduce(before, [2, [3]]) == [1, 2, 3]
    assert topic.reduce(before, []) is before
    assert before == [1]
