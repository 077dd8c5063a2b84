"""The quick walk and the thorough one agree on what fits."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from typing import Any

import pytest

from distgraph.wire.walk import find_problem, has_buffers, is_plain, is_shallow, is_within, survey, wrap_buffers
from tests.unit.wire.samples import Money, Open, Pair, Point, Step, registry

pytestmark = pytest.mark.unit

SHAPES = registry().by_type


@pytest.mark.parametrize(
    ("value", "depth"),
    [
        (0, 0),
        ("text", 0),
        ([], 1),
        ({"a": 1}, 1),
        ({"a": [1, {"b": ()}]}, 4),
        ({(1, (2,)): 1}, 3),
        ([[], [[[]]], []], 4),
        (Point(1), 1),
        (Pair([1], {"k": (1,)}), 3),
        (Step("a"), 1),
        (Money(1), 1),
        (Open(name="n", more=[[1]]), 3),
        ({frozenset({(1,)})}, 3),
        (deque([[1]]), 2),
        (OrderedDict(a=[1]), 2),
        (Counter({(1, 2): 3}), 2),
    ],
    ids=repr,
)
def test_depth_is_counted_alike(value: Any, depth: int) -> None:
    for limit in range(6):
        assert is_within(value, limit, SHAPES) == (depth <= limit)
        assert (find_problem(value, SHAPES, limit) is None) == (depth <= limit)


def test_an_instance_dict_is_no_level() -> None:
    """Python keeps attributes in a dict of the instance: it is not part of the value."""
    counts = Counter(a=1)
    counts.note = "attribute"  # type: ignore[attr-defined]
    assert is_within(counts, 1, SHAPES)


def test_shared_parts_do_not_multiply() -> None:
    """Fifty doublings: visited one by one they would be 2 ** 50 lists."""
    value: list[Any] = []
    for _ in range(50):
        value = [value, value]
    assert is_within(value, 51, SHAPES)
    assert not is_within(value, 50, SHAPES)


def test_a_survey_sees_lists_and_dicts_only() -> None:
    types, levels = survey({"a": [1, (bytearray(),)], b"k": 2.5})
    assert types == {dict, list, int, tuple, float, str, bytes} or types == {dict, list, int, tuple, float, bytes}
    assert levels == 2
    assert not has_buffers(types)
    assert not is_plain(types, SHAPES)
    assert survey(7) == ({int}, 0)


@pytest.mark.parametrize("buffer", [bytearray(b"x"), memoryview(b"x")])
def test_buffers_are_found_wherever_msgpack_would_write_them(buffer: Any) -> None:
    for value in (buffer, [buffer], {"k": [{"d": buffer}]}):
        assert has_buffers(survey(value)[0])
    assert not has_buffers(survey((buffer,))[0]), "a tuple is packed, and looked at, on its own"


def test_registered_types_are_not_plain() -> None:
    assert is_plain({dict, list, str}, SHAPES)
    assert not is_plain({dict, Point}, SHAPES)
    assert is_plain({dict, Point}, {})


def test_wrapping_copies_only_lists_and_dicts() -> None:
    inner = (1,)
    value = {"a": [inner, b"x"]}
    wrapped = wrap_buffers(value)
    assert wrapped == value
    assert wrapped is not value
    assert wrapped["a"][0] is inner


def test_the_first_problem_in_order_is_the_one_that_is_told() -> None:
    problem = find_problem({"a": [1, object()], "b": object()}, SHAPES, 64)
    assert problem is not None
    assert problem.path == "$.a[1]"
    assert find_problem({"a": [1, None]}, SHAPES, 64) is None


@pytest.mark.parametrize("innermost", [[], [1], {}, {"a": "b"}])
@pytest.mark.parametrize("levels", [1, 2, 63, 64, 65, 66])
def test_shallow_is_what_nests_no_deeper(innermost: Any, levels: int) -> None:
    value = innermost
    for _ in range(levels - 1):
        value = [value, 0]
    assert is_shallow(value, 64) is (levels <= 64)
    assert is_shallow("a leaf", 0)
