"""What LangChain's tools do while a node runs, in ``stream_mode="tools"``: each call's begin, and its end or failure.

As ``tokens.py`` does for models: a callback handler with the methods that LangChain calls, which inherits nothing.
"""

from __future__ import annotations

from contextvars import Token
from typing import TYPE_CHECKING, Any

from distgraph.constants import TAG_NOSTREAM
from distgraph.engine.foreign import lend, take_back
from distgraph.errors import GraphDrained, GraphInterrupt

if TYPE_CHECKING:
    from distgraph.engine.context import RunContext


class ToolHandler:
    """Sends what tools do that one node calls.

    Args:
        ctx: the run.
    """

    raise_error = False
    run_inline = True
    ignore_agent = False  # tools are told of to handlers of agents
    ignore_llm = ignore_chat_model = ignore_chain = ignore_retriever = ignore_retry = ignore_custom_event = True

    def __init__(self, ctx: RunContext) -> None:
        self._ctx = ctx
        #: LangChain's run id -> the id of the call that a model asked for, or the run's own; and what was lent to it.
        self._calls: dict[Any, tuple[str, Token[Any] | None]] = {}

    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: Any,
        tags: list[str] | None = None,
        inputs: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """A tool is called."""
        if TAG_NOSTREAM in (tags or ()):
            return
        lent = lend(lambda delta: self._send(run_id, "tool-output-delta", delta=delta))
        self._calls[run_id] = str(more.get("tool_call_id") or run_id), lent
        given = {} if inputs is None else {"input": inputs}
        self._send(run_id, "tool-started", tool_name=(serialized or {}).get("name") or more.get("name") or "", **given)

    def on_tool_end(self, output: Any, *, run_id: Any, **more: Any) -> None:
        """A tool has answered."""
        self._send(run_id, "tool-finished", output=output)
        self._forget(run_id)

    def on_tool_error(self, error: BaseException, *, run_id: Any, **more: Any) -> None:
        """A tool has failed; one that asks, or is drained, runs again later and tells the rest then."""
        if not isinstance(error, GraphInterrupt | GraphDrained):
            self._send(run_id, "tool-error", message=str(error))
        self._forget(run_id)

    def _send(self, run_id: Any, event: str, **more: Any) -> None:
        call, _ = self._calls.get(run_id, ("", None))
        if call and self._ctx.emit is not None:
            self._ctx.emit(self._ctx.ns_tuple, "tools", {"event": event, "tool_call_id": call, **more})

    def _forget(self, run_id: Any) -> None:
        _, lent = self._calls.pop(run_id, ("", None))
        take_back(lent)
