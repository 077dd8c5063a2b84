"""The graph below StateGraph: channels, and nodes that read and write them."""

from __future__ import annotations

from distgraph.graph.face import GraphFace
from distgraph.graph.variables import ContextT, InputT, OutputT, StateT


class Pregel(GraphFace[StateT, ContextT, InputT, OutputT]):
    """A graph of channels and nodes."""
