"""Eventful graphs 0 to 999 for workers: ``--graphs tests.graphs.happenings`` serves ``eventful_0`` ... ``eventful_999``."""

from __future__ import annotations

from distgraph.config import get_config
from distgraph.runtime import get_runtime
from distgraph.types import RetryPolicy, interrupt
from tests.graphs.events import Asking, make
from tests.graphs.plans import plan
from tests.graphs.random_graphs import distgraph_api

COUNT = 1000
ASKING = Asking(interrupt, get_config, get_runtime, RetryPolicy)
GRAPHS = [make(plan(seed), distgraph_api(), ASKING) for seed in range(COUNT)]
