"""``run.messages``: the messages that models and nodes of a graph make, each as a stream of its own.

A message of LangChain is its ``ChatModelStream``, whose text comes token by token; a plain dict is a ``WholeMessage``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from functools import cache
from typing import Any

from distgraph.engine.messages import begun_by, is_of_tool, langchain_messages, message_id
from distgraph.stream.events import ProtocolEvent
from distgraph.stream.mux import StreamMux
from distgraph.stream.stream_channel import StreamChannel
from distgraph.stream.transformer import StreamTransformer


class Whole:
    """A value that is there already, read as one that is still coming: iterated, awaited, or as ``str``."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __iter__(self) -> Iterator[Any]:
        yield self._value

    async def __aiter__(self) -> AsyncIterator[Any]:
        yield self._value

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        return self._value

    def __str__(self) -> str:
        return str(self._value)


class WholeMessage:
    """A message that a node made, and that is none of LangChain's, or of a release of it that has no streams of messages.

    Attributes:
        node: that made it.
        message_id: its id, or None.
        text: its text: ``str(message.text)``; in async runs ``await message.text``.
        done: always True.
    """

    done = True

    def __init__(self, message: Any, node: str | None, *, is_async: bool) -> None:
        self.node, self.message_id = node, message_id(message)
        content = message["content"] if isinstance(message, dict) else message.content
        self.text = Whole(content if isinstance(content, str) else "".join(_texts(content)))
        self._message, self._is_async = message, is_async

    @property
    def output(self) -> Any:
        """The message as it was made; in async runs to be awaited."""
        return Whole(self._message) if self._is_async else self._message


def _texts(content: Any) -> Iterator[str]:
    for block in content if isinstance(content, list) else ():
        if isinstance(block, str):
            yield block
        elif isinstance(block, Mapping) and block.get("type") == "text":
            yield str(block.get("text", ""))


@cache
def _langchain() -> Any:
    """LangChain's streams of messages, and what makes the events of a whole one; None where no such release is."""
    try:
        from langchain_core.language_models import chat_model_stream
        from langchain_core.language_models._compat_bridge import message_to_events
    except ImportError:
        return None
    return chat_model_stream, message_to_events


class MessagesTransformer(StreamTransformer):
    """``run.messages``: every message of the graph's nodes, but those of tools; every run has it.

    A model that streams, or that is called by a node in any other way, gives its message while it is made.
    """

    _native = True
    required_stream_modes = ("messages",)

    def __init__(self, scope: tuple[str, ...] = ()) -> None:
        super().__init__(scope)
        self._channel: StreamChannel[Any] = StreamChannel()
        self._mux: StreamMux
        #: Messages that are being made, by the call of the model; None: of a tool.
        self._made: dict[str, Any] = {}

    def init(self) -> dict[str, Any]:
        """The projection."""
        return {"messages": self._channel}

    def registered(self, mux: StreamMux) -> None:
        """Reading a message drives the run."""
        self._mux = mux

    def process(self, event: ProtocolEvent) -> bool:
        """Add what the event tells to the message it is of."""
        params = event["params"]
        if event["method"] == "messages" and tuple(params["namespace"]) == self.scope:
            payload, metadata = params["data"]
            node = metadata.get("langgraph_node")
            if isinstance(payload, dict) and "event" in payload:
                self._piece(payload, str(metadata.get("run_id", "")), node)
            elif not type(payload).__name__.endswith("Chunk"):
                self._whole(payload, node)
        return True

    def finalize(self) -> None:
        """Messages end by themselves."""
        self._made.clear()

    def fail(self, err: BaseException) -> None:
        """Messages that are being made fail with the run."""
        for stream in self._made.values():
            if stream is not None:
                stream.fail(err)
        self._made.clear()

    def _piece(self, piece: Any, call: str, node: str | None) -> None:
        if piece["event"] == "message-start":
            stream = None if piece.get("role") == "tool" else self._stream(node, begun_by(piece))
            self._made[call] = stream
            if stream is not None:
                self._channel.push(stream)
        stream = self._made.get(call)
        if stream is not None:
            stream.dispatch(piece)
        if piece["event"] == "message-finish":
            self._made.pop(call, None)

    def _stream(self, node: str | None, message_id: Any) -> Any:
        known = None if message_id is None else str(message_id)
        if self._mux.is_async:
            stream = _langchain()[0].AsyncChatModelStream(namespace=[], node=node, message_id=known)
            stream.set_arequest_more(self._mux.amore)
        else:
            stream = _langchain()[0].ChatModelStream(namespace=[], node=node, message_id=known)
            stream.set_request_more(self._mux.more)
        return stream

    def _whole(self, message: Any, node: str | None) -> None:
        if is_of_tool(message):
            return
        if _langchain() is None or not isinstance(message, langchain_messages().BaseMessage):
            self._channel.push(WholeMessage(message, node, is_async=self._mux.is_async))
            return
        stream = self._stream(node, message.id)
        for piece in _langchain()[1](message, message_id=message.id):
            stream.dispatch(piece)
        self._channel.push(stream)
