"""The root of the tree that is drawn in ``distgraph.errors``."""

from __future__ import annotations


class DistgraphError(Exception):
    """The root. ``code`` is stable and documented; the text says what, where, why and what to do."""

    code = "DISTGRAPH_ERROR"
