"""Send fans out, reducers merge."""

from __future__ import annotations

import pytest

from distgraph.examples.map_reduce import add_counts, graph

pytestmark = pytest.mark.unit


def test_counts_of_all_documents_are_added_up() -> None:
    result = graph.invoke({"documents": ["a b", "b c", "c b"]})
    assert result["counts"] == {"a": 1, "b": 3, "c": 2}
    assert result["ranking"] == [["b", 3], ["c", 2], ["a", 1]]


def test_the_order_of_documents_does_not_matter() -> None:
    documents = ["to be or", "not to be", "that is"]
    forward, backward = graph.invoke({"documents": documents}), graph.invoke({"documents": documents[::-1]})
    assert forward["counts"] == backward["counts"]
    assert forward["ranking"] == backward["ranking"]


def test_without_documents_there_is_nothing_to_count() -> None:
    assert graph.invoke({"documents": []})["ranking"] == []


def test_the_reducer_leaves_what_it_was_given_as_it_was() -> None:
    left, right = {"a": 1}, {"a": 2, "b": 1}
    assert add_counts(left, right) == {"a": 3, "b": 1}
    assert (left, right) == ({"a": 1}, {"a": 2, "b": 1})
