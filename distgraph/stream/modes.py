"""Transformers that show one stream mode each, of the graph that they watch."""

from __future__ import annotations

from typing import Any

from distgraph.stream.events import ProtocolEvent
from distgraph.stream.stream_channel import StreamChannel
from distgraph.stream.transformer import StreamTransformer


class _OneMode(StreamTransformer):
    """Shows what one stream mode tells of the graph itself; graphs nested in it have projections of their own."""

    _native = True

    def __init__(self, scope: tuple[str, ...] = ()) -> None:
        super().__init__(scope)
        self.channel: StreamChannel[Any] = StreamChannel()

    @property
    def mode(self) -> str:
        """The stream mode, which is the projection's name too."""
        return self.required_stream_modes[0]

    def init(self) -> dict[str, Any]:
        """The projection."""
        return {self.mode: self.channel}

    def process(self, event: ProtocolEvent) -> bool:
        """Show the event if it is of the mode, and of the graph."""
        if event["method"] == self.mode and tuple(event["params"]["namespace"]) == self.scope:
            self.channel.push(event["params"]["data"])
        return True


class ValuesTransformer(_OneMode):
    """``run.values``: the state after each superstep; every run has it."""

    required_stream_modes = ("values",)

    @property
    def error(self) -> BaseException | None:
        """What the run failed with."""
        return self.channel.error


class UpdatesTransformer(_OneMode):
    """``run.updates``: what each node returned."""

    required_stream_modes = ("updates",)


class CustomTransformer(_OneMode):
    """``run.custom``: what nodes write with ``get_stream_writer()``."""

    required_stream_modes = ("custom",)


class TasksTransformer(_OneMode):
    """``run.tasks``: which tasks start, and how they end."""

    required_stream_modes = ("tasks",)


class CheckpointsTransformer(_OneMode):
    """``run.checkpoints``: every checkpoint, of a graph with a checkpointer."""

    required_stream_modes = ("checkpoints",)


class DebugTransformer(_OneMode):
    """``run.debug``: tasks and checkpoints, with their superstep and the time."""

    required_stream_modes = ("debug",)
