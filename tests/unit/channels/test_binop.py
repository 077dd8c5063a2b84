"""A channel that folds its updates with a reducer."""

from __future__ import annotations

import collections.abc
import operator
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from distgraph.channels.binop import BinaryOperatorAggregate, keeps_items, overwrite_of, reducer_name
from distgraph.errors import InvalidUpdateError
from distgraph.types import MISSING, Overwrite

pytestmark = pytest.mark.unit

LIST: BinaryOperatorAggregate[Any] = BinaryOperatorAggregate(list, operator.add, key="log")


def test_updates_are_folded_in_order() -> None:
    assert LIST.reduce([0], [[1], [2, 3]]) == [0, 1, 2, 3]
    value = [0]
    assert LIST.reduce(value, []) is value


@pytest.mark.parametrize(
    ("typ", "initial"),
    [
        (int, 0),
        (list, []),
        (list[str], []),
        (dict[str, int], {}),
        (Sequence[int], []),
        (collections.abc.Set, set()),
        (collections.abc.MutableMapping, {}),
    ],
)
def test_the_initial_value_is_the_types_empty_one(typ: Any, initial: Any) -> None:
    """Abstract containers have a concrete one."""
    assert BinaryOperatorAggregate(typ, operator.add).initial() == initial


def test_no_two_runs_share_the_initial_value() -> None:
    assert LIST.initial() is not LIST.initial()


def test_where_the_type_has_no_empty_value_the_first_update_starts() -> None:
    class Strict:
        def __init__(self, n: int) -> None:
            self.n = n

    channel: Any = BinaryOperatorAggregate(Strict, lambda a, b: Strict(a.n + b.n))
    assert channel.initial() is MISSING
    assert channel.reduce(MISSING, [Strict(1), Strict(2)]).n == 3


@pytest.mark.parametrize(
    "form", [Overwrite([9]), {"__overwrite__": [9]}, {"value": [9], "type": "__overwrite__"}], ids=str
)
def test_an_overwrite_replaces_and_ends_the_fold(form: Any) -> None:
    """What came before is discarded, what comes after is ignored: no order of tasks matters."""
    assert LIST.reduce([0], [[1], form, [2]]) == [9]
    assert LIST.reduce([0], [form]) == [9]
    assert overwrite_of(form) == (True, [9])


def test_an_overwrite_may_come_first_of_all() -> None:
    """Its content is stored, not the Overwrite."""
    assert BinaryOperatorAggregate(Any, operator.add).reduce(MISSING, [Overwrite(5)]) == 5


def test_two_overwrites_contradict_each_other() -> None:
    with pytest.raises(InvalidUpdateError, match="At key 'log': Can receive only one Overwrite value per super-step"):
        LIST.reduce([], [Overwrite([1]), Overwrite([2])])


@pytest.mark.parametrize("update", [{"value": 1}, {"type": "__overwrite__"}, {}, {"__overwrite__": 1, "more": 2}, [1]])
def test_other_dicts_are_ordinary_updates(update: Any) -> None:
    assert overwrite_of(update) == (False, None)


def test_a_reducer_that_fails_is_named() -> None:
    def merge(left: Any, right: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        BinaryOperatorAggregate(list, merge, key="log").reduce([], [1])
    assert caught.value.__notes__ == [f"While the reducer {reducer_name(merge)} merged an update into key 'log'."]


def test_reducers_have_names_without_addresses() -> None:
    """They are part of the graph's fingerprint."""

    class Merge:
        def __call__(self, left: Any, right: Any) -> Any:
            return left

    assert reducer_name(operator.add) == "_operator:add"
    assert reducer_name(Merge()).endswith("Merge")


def test_channels_with_the_same_reducer_are_equal() -> None:
    """Any two lambdas are: their names say nothing."""
    assert BinaryOperatorAggregate(list, operator.add) == BinaryOperatorAggregate(int, operator.add)
    assert BinaryOperatorAggregate(list, operator.add) != BinaryOperatorAggregate(list, operator.or_)
    assert BinaryOperatorAggregate(list, lambda a, b: a) == BinaryOperatorAggregate(list, lambda a, b: b)
    assert LIST != 5


def test_a_list_that_is_added_to_grew() -> None:
    assert LIST.grew([0], [[1]], [0, 1])
    assert not LIST.grew([0], [Overwrite([1])], [1])


def test_a_marked_reducer_grew_where_every_item_was_kept() -> None:
    @keeps_items
    def merge(left: list[Any], right: list[Any]) -> list[Any]:
        return [*left, *right]

    old: list[Any] = [{}]
    for reducer in (merge, partial(merge)):
        channel: BinaryOperatorAggregate[Any] = BinaryOperatorAggregate(list, reducer)
        assert channel.grew(old, [[1]], [*old, 1])
        assert not channel.grew(old, [[1]], [{}, 1])


def test_of_other_reducers_nothing_is_known() -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, left: list[Any], right: list[Any]) -> list[Any]:
            return [*left, *right]

    for reducer in (Unhashable(), lambda left, right: left + right):
        assert not BinaryOperatorAggregate(list, reducer).grew([0], [[1]], [0, 1])
