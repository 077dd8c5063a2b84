"""Which nested graphs start and end, read off the tasks of the graphs around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, NotRequired, TypedDict

from distgraph.errors import GraphDrained, GraphInterrupt
from distgraph.stream.events import ProtocolEvent
from distgraph.stream.run_stream import SubgraphStatus
from distgraph.stream.stream_channel import StreamChannel
from distgraph.stream.transformer import StreamTransformer

Ns = tuple[str, ...]


class LifecyclePayload(TypedDict, total=False):
    """That a nested graph has started, or ended.

    Attributes:
        event: "started", or how it ended.
        namespace: the graph's.
        graph_name: the node that is or runs it; of an agent its own name.
        trigger_call_id: id of the task that runs it.
        cause: of an agent that a tool call started: ``{"type": "toolCall", "tool_call_id": ...}``.
        error: what it failed with.
    """

    event: SubgraphStatus
    namespace: list[str]
    graph_name: NotRequired[str]
    trigger_call_id: NotRequired[str]
    cause: NotRequired[dict[str, str]]
    error: NotRequired[str]


class Start(NamedTuple):
    """A nested graph that was not known before."""

    ns: Ns
    name: str | None
    task_id: str | None
    cause: dict[str, str] | None


class End(NamedTuple):
    """How a nested graph ended."""

    ns: Ns
    status: SubgraphStatus
    error: Any = None


class Nests:
    """Follows graphs nested in the one at ``scope``.

    A graph starts with the first of its tasks, and ends with the task that runs it.

    Args:
        scope: namespace of the graph that is watched.
        deep: graphs nested in nested ones are followed too.
    """

    def __init__(self, scope: Ns, *, deep: bool) -> None:
        self._scope, self._deep = scope, deep
        #: Those that have started, and whose task has not ended.
        self._known: set[Ns] = set()
        #: Those of them that are known to end with a task, and that task.
        self._open: dict[Ns, str] = {}
        #: Task -> the call of a model that it carries out.
        self._tool_calls: dict[str, str] = {}

    def started(self, event: ProtocolEvent) -> Start | None:
        """The graph that this event of a task is the first of."""
        task = event["params"]["data"]
        if "result" in task:
            return None
        ns = tuple(event["params"]["namespace"])
        call = _tool_call(task.get("input"))
        if call is not None:
            self._tool_calls[task["id"]] = call
        depth, here = len(ns) - len(self._scope), ns[: len(self._scope)] == self._scope
        if not here or depth < 1 or (depth > 1 and not self._deep) or ns in self._known:
            return None
        self._known.add(ns)
        return self._start(ns, task)

    def _start(self, ns: Ns, task: Mapping[str, Any]) -> Start:
        node, colon, rest = ns[-1].partition(":")
        task_id = rest if colon else None
        if task_id is not None:
            self._open[ns] = task_id
        agent = (task.get("metadata") or {}).get("lc_agent_name")
        call = self._tool_calls.get(task_id or "") if agent is not None else None
        cause = {"type": "toolCall", "tool_call_id": call} if call else None
        return Start(ns, agent if agent is not None else node or None, task_id, cause)

    def ended(self, event: ProtocolEvent) -> list[End]:
        """The graphs that end with this event of a task."""
        task = event["params"]["data"]
        if "result" not in task:
            return []
        around = tuple(event["params"]["namespace"])
        self._tool_calls.pop(task.get("id"), None)
        found = [ns for ns, task_id in self._open.items() if ns[:-1] == around and task_id == task.get("id")]
        for ns in found:
            del self._open[ns]
            # No task of a graph starts any more when the one that runs it has ended.
            self._known = {known for known in self._known if known[: len(ns)] != ns}
        if task.get("interrupts"):
            return [End(ns, "interrupted") for ns in found]
        error = task.get("error")
        return [End(ns, "failed", error) if error else End(ns, "completed") for ns in found]

    def rest(self, err: BaseException | None = None) -> Iterator[End]:
        """The graphs that nobody saw end; the run has ended, with ``err`` if it failed."""
        for ns in list(self._open):
            del self._open[ns]
            yield End(ns, *status_of(err))


def status_of(err: BaseException | None) -> tuple[SubgraphStatus, BaseException | None]:
    """How graphs have ended in a run that ended with ``err``."""
    if err is None:
        return "completed", None
    if isinstance(err, GraphDrained):
        return "drained", None
    return ("interrupted", None) if isinstance(err, GraphInterrupt) else ("failed", err)


def _tool_call(given: Any) -> str | None:
    """Id of the call that a task with this input carries out, as LangChain's agents hand them out."""
    calls = given if isinstance(given, list) else [given.get("tool_call")] if isinstance(given, Mapping) else []
    ids = [call["id"] for call in calls if isinstance(call, Mapping) and isinstance(call.get("id"), str)]
    return ids[0] if ids else None


class LifecycleTransformer(StreamTransformer):
    """``run.lifecycle``: nested graphs, at all depths, start and end; every run has it.

    ``tasks`` events go no further than here: ``run.tasks`` shows them.
    """

    _native = True
    required_stream_modes = ("tasks",)

    def __init__(self, scope: Ns = ()) -> None:
        super().__init__(scope)
        self._nests = Nests(scope, deep=True)
        self._channel: StreamChannel[LifecyclePayload] = StreamChannel("lifecycle")

    def init(self) -> dict[str, Any]:
        """The projection."""
        return {"lifecycle": self._channel}

    def process(self, event: ProtocolEvent) -> bool:
        """Look whether a graph starts or ends."""
        if event["method"] != "tasks":
            return True
        start = self._nests.started(event)
        if start is not None and start.task_id is not None:
            self._channel.push(_payload(start))
        self._tell(self._nests.ended(event))
        return False

    def finalize(self) -> None:
        """What is open has ended too."""
        self._tell(self._nests.rest())

    def fail(self, err: BaseException) -> None:
        """What is open has ended with the run."""
        self._tell(self._nests.rest(err))

    def _tell(self, ends: Iterator[End] | list[End]) -> None:
        for end in ends:
            payload: LifecyclePayload = {"event": end.status, "namespace": list(end.ns)}
            if end.error is not None:
                payload["error"] = str(end.error)
            self._channel.push(payload)


def _payload(start: Start) -> LifecyclePayload:
    payload: LifecyclePayload = {"event": "started", "namespace": list(start.ns)}
    if start.name:
        payload["graph_name"] = start.name
    payload["trigger_call_id"] = start.task_id or ""
    if start.cause is not None:
        payload["cause"] = start.cause
    return payload
