"""Graphs 0 to 999 for workers: ``--graphs tests.graphs.seeded`` serves them under ``random_0`` ... ``random_999``."""

from __future__ import annotations

from tests.graphs.random_graphs import make

COUNT = 1000

GRAPHS = [make(seed) for seed in range(COUNT)]
