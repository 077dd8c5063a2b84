"""The graphs these workers serve: edit this list.

A worker started with ``--graphs workers.graphs`` serves every compiled graph with a name that this module holds, and no
other; messages name a graph, they never bring one. Import your own compiled graphs here, beside the samples or in their
place. Names must be unique in the list.
"""

from __future__ import annotations

from distgraph.examples.census.graph import graph as census
from distgraph.examples.chain import graph as chain
from distgraph.examples.crunch import graph as crunch
from distgraph.examples.flaky import graph as flaky
from distgraph.examples.human_review import graph as human_review
from distgraph.examples.map_reduce import graph as map_reduce
from distgraph.examples.sums import graph as sums
from distgraph.examples.workflow import workflow

__all__ = ["census", "chain", "crunch", "flaky", "human_review", "map_reduce", "sums", "workflow"]
