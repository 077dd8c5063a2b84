"""What a power loss takes, and what is said of many. That everything survives is shown with real servers, in tests/chaos."""

from __future__ import annotations

from distgraph.chaos.power import LEVELS, Loss, figures


def test_figures_count_what_was_told_and_what_changed() -> None:
    losses = [
        Loss("standard", "cut", 10, 4, 2, 1.0),
        Loss("fsync", "cut", 5, 3, 0, 2.5),
        Loss("fsync", "cut", 0, 0, 0, 0.5, "broken"),
    ]
    found = figures(losses)
    assert (found["losses"], found["bytes"], found["failed"]) == (3, 15, 1)
    assert (found["told"], found["computed again"]) == (7, 2)
    assert (found["told at fsync"], found["changed at fsync"]) == (3, 0)
    assert (found["median seconds"], found["worst seconds"]) == (1.0, 2.5)


def test_figures_of_nothing() -> None:
    assert figures([])["losses"] == 0


def test_levels() -> None:
    assert LEVELS == ("standard", "fsync")
