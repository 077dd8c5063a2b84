"""The suites' graphs as workers serve them: ``distgraph worker --graphs ops.bench.graphs``."""

from __future__ import annotations

from ops.bench.workloads import api_of, barrier_graph, batch_graph, cpu_graph

_api = api_of("distgraph")
batch = batch_graph(_api).compile(name="bench_batch")
barrier = barrier_graph(_api).compile(name="bench_barrier")
cpu = cpu_graph(_api).compile(name="bench_cpu")
