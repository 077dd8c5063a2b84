"""What a node can see while it runs: its Runtime, its config, and the one context variable behind both."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from math import isfinite
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from distgraph.errors import GraphInterrupt, GraphSleep
from distgraph.types import Interrupt, StreamWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

ContextT = TypeVar("ContextT")
T = TypeVar("T")


def _no_write(_: Any) -> None:
    """Where stream output goes when nobody listens."""


def _no_heartbeat() -> None:
    """A heartbeat where no time limit watches."""


def _not_cancelled() -> bool:
    """Where nobody can cancel a run while its nodes run."""
    return False


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Where a run is served, if a server runs it."""

    assistant_id: str = ""
    graph_id: str = ""
    user: Any = None


@dataclass(frozen=True, slots=True)
class ExecutionInfo:
    """Which attempt of which task this is.

    Attributes:
        node_attempt: counts from 1.
        node_first_attempt_time: seconds since the epoch of the first attempt.
    """

    checkpoint_id: str = ""
    checkpoint_ns: str = ""
    task_id: str = ""
    thread_id: str | None = None
    run_id: str | None = None
    node_attempt: int = 1
    node_first_attempt_time: float | None = None

    def patch(self, **changes: Any) -> ExecutionInfo:
        """A copy with these fields changed."""
        return replace(self, **changes)


class RunControl:
    """Asks a run to stop at its next superstep boundary. One per run, shared with its nodes."""

    __slots__ = ("drain_reason",)

    def __init__(self) -> None:
        self.drain_reason: str | None = None

    def request_drain(self, reason: str = "shutdown") -> None:
        """Stop after the current superstep; the run raises ``GraphDrained`` and can be continued."""
        self.drain_reason = reason

    @property
    def drain_requested(self) -> bool:
        """Whether somebody asked."""
        return self.drain_reason is not None


class EffectLog:
    """Results of effects by key. This kind forgets at the end of the run; workers keep theirs in the ledger."""

    __slots__ = ("_done",)

    def __init__(self) -> None:
        self._done: dict[str, Any] = {}

    def get(self, key: str) -> tuple[bool, Any]:
        """Whether ``key`` was recorded, and with what."""
        return (key in self._done, self._done.get(key))

    def put(self, key: str, value: Any) -> Any:
        """Record ``value`` unless somebody was first; returns what stands recorded."""
        return self._done.setdefault(key, value)


@dataclass(frozen=True, slots=True)
class Runtime(Generic[ContextT]):
    """A node's window on its run; a parameter named ``runtime`` receives it.

    Attributes:
        context: what the caller passed as ``context=``, as the context schema shapes it.
        store: the store given to ``compile``.
        stream_writer: sends a value into ``stream_mode="custom"``.
        heartbeat: tells an idle timeout that the node makes progress.
        previous: the functional API's last saved value of this thread.
        execution_info: which attempt of which task this is.
        server_info: where the run is served, if a server runs it.
        control: asks the run to stop in an orderly way.
        idempotency_key: the same for every attempt of this task, and after a roll-back of the server: give it to
            services that deduplicate.
    """

    context: ContextT = None  # type: ignore[assignment]
    store: Any = None
    stream_writer: StreamWriter = field(default=_no_write)
    heartbeat: Callable[[], None] = field(default=_no_heartbeat)
    previous: Any = None
    execution_info: ExecutionInfo | None = None
    server_info: ServerInfo | None = None
    control: RunControl | None = None
    idempotency_key: str = ""
    effects: EffectLog = field(default_factory=EffectLog, repr=False)
    is_cancelled: Callable[[], bool] = field(default=_not_cancelled, repr=False)

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled: nothing the node returns will be used. Look at it in long loops and return.

        On workers a node that goes on is stopped a while later, with its process. Coroutines are cancelled.
        """
        return self.is_cancelled()

    def once(self, key: str, fn: Callable[[], T]) -> T:
        """Call ``fn`` and record its result under this task's ``key``; an attempt that comes later gets the record.

        The call is repeated only within the window from the look to the record: where the process dies in it or the
        server is out, or where two attempts are at it at once because a worker that lives was taken for dead.
        """
        full = f"{self.idempotency_key}/{key}"
        known, value = self.effects.get(full)
        return value if known else self.effects.put(full, fn())  # type: ignore[no-any-return]

    def sleep(self, seconds: float | timedelta, *, key: str | None = None) -> None:
        """Sleep, for days if need be, without holding anything: on workers no process, no slot, no message.

        The node is left here and started again from its top when the time has come; a sleep that was slept returns at
        once, also after a crash or a restart. Like ``interrupt()``: sleeps are matched by their order in the node, or
        by ``key``, and whatever the node did before is done again, so put effects into ``once``.

        Args:
            seconds: or a ``timedelta``; 0 or less does not sleep.
            key: unique in the node; give one where the order of its sleeps may change.

        Raises:
            GraphSleep: it was not slept yet. Let it pass; do not catch it.
            TypeError, ValueError: ``seconds`` is no finite length of time.
        """
        length = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
        if isinstance(length, bool) or not isinstance(length, int | float):
            raise TypeError(f"sleep() takes seconds or a timedelta, got {seconds!r}.")
        if not isfinite(length):
            raise ValueError(f"sleep() takes a finite number of seconds, got {seconds!r}.")
        current_scope().sleep(key, length, None)

    def sleep_until(self, when: datetime, *, key: str | None = None) -> None:
        """``sleep`` until a point in time; one that has passed does not sleep.

        Raises:
            GraphSleep: it was not slept yet. Let it pass; do not catch it.
            TypeError, ValueError: ``when`` is no ``datetime``, or has no time zone.
        """
        if not isinstance(when, datetime):
            raise TypeError(f"sleep_until() takes a datetime, got {when!r}.")
        if when.tzinfo is None:
            raise ValueError(
                f"sleep_until() got {when!r}, which has no time zone: a worker may run in another one than this process. "
                "Give one, for example datetime.now(UTC) + timedelta(days=2)."
            )
        current_scope().sleep(key, None, when.timestamp())

    @property
    def drain_requested(self) -> bool:
        """Whether the run was asked to stop at the next superstep."""
        return self.control is not None and self.control.drain_requested

    @property
    def drain_reason(self) -> str | None:
        """Why the run was asked to stop; None: it was not."""
        return self.control.drain_reason if self.control is not None else None

    def merge(self, other: Runtime[Any]) -> Runtime[Any]:
        """This runtime with what ``other`` sets."""
        return replace(
            self,
            context=other.context if other.context is not None else self.context,
            store=other.store if other.store is not None else self.store,
            stream_writer=other.stream_writer if other.stream_writer is not _no_write else self.stream_writer,
            heartbeat=other.heartbeat if other.heartbeat is not _no_heartbeat else self.heartbeat,
            previous=other.previous if other.previous is not None else self.previous,
            execution_info=other.execution_info or self.execution_info,
            server_info=other.server_info or self.server_info,
            control=other.control or self.control,
            idempotency_key=other.idempotency_key or self.idempotency_key,
        )

    def override(self, **changes: Any) -> Runtime[Any]:
        """A copy with these fields changed."""
        return replace(self, **changes)

    def patch_execution_info(self, **changes: Any) -> Runtime[Any]:
        """A copy with these fields of its execution info changed.

        Raises:
            RuntimeError: no node runs with this runtime.
        """
        if self.execution_info is None:
            raise RuntimeError("Cannot patch execution_info before it has been set: no node runs with this runtime.")
        return replace(self, execution_info=self.execution_info.patch(**changes))


DEFAULT_RUNTIME: Runtime[Any] = Runtime()


class TaskScope:
    """Everything bound to one execution of one node; the value of the context variable while it runs.

    Attributes:
        config: the task's config, as a parameter named ``config`` receives it.
        runtime: the task's Runtime.
        ns: the task's checkpoint namespace, ``parent|node:task_id``; seeds the ids of its interrupts.
        answers: answers to this task's interrupts so far, in call order.
        asked: interrupts met by this attempt.
        napped: sleeps without a key met by this attempt.
    """

    __slots__ = ("answers", "children", "config", "napped", "ns", "questions", "runtime", "session")

    def __init__(
        self,
        config: Mapping[str, Any],
        runtime: Runtime[Any],
        ns: str = "",
        answers: list[Any] | None = None,
        session: Any = None,
    ) -> None:
        self.config = config
        self.runtime = runtime
        self.ns = ns
        self.answers = answers if answers is not None else []
        #: Numbers of interrupts; a node may ask from several OS threads, and no two get the same.
        self.questions = count()
        self.napped = 0
        #: Nested graph calls made by this attempt; numbers their namespaces.
        self.children = 0
        #: What the running engine hands to nested graphs (stream sink, saver); opaque here.
        self.session = session

    def start(self, node: Any, arg: Any) -> Any:
        """A future of what ``node``, called by the node that runs here, returns for ``arg``."""
        raise RuntimeError("Tasks are called from nodes of a running graph.")

    def send(self, key: str, value: Any) -> None:
        """Write to ``key`` of the state, with what the node will return.

        Raises:
            InvalidUpdateError: the graph has no such key.
        """
        raise RuntimeError("State is written by nodes of a running graph.")

    def show(self, message: Any) -> None:
        """Send a message, if anybody reads ``stream_mode="messages"``."""

    def ask(self, value: Any, response_schema: Any) -> Any:
        """The answer to the next interrupt, or a stop."""
        return self.answer(next(self.questions), value, response_schema)

    def answer(self, index: int, value: Any, response_schema: Any) -> Any:
        """The answer to the interrupt of that number, or a stop."""
        if index < len(self.answers):
            return self.answers[index]
        from distgraph.digests import interrupt_id

        # Of questions that OS threads of a node ask side by side one is told, and its answer is the next that is known.
        raise GraphInterrupt((Interrupt(value, interrupt_id(self.ns, len(self.answers)), response_schema),))

    def sleep(self, key: str | None, seconds: float | None, until: float | None) -> None:
        """Sleep, unless that was slept already: for ``seconds``, or ``until`` so many since the epoch.

        Raises:
            GraphSleep: it was not.
        """
        if key is None:
            key, self.napped = f"#{self.napped}", self.napped + 1
        if seconds is None or seconds > 0:
            self.nap(GraphSleep(key, seconds, until))

    def nap(self, asleep: GraphSleep) -> None:
        """Raise ``asleep``, unless that was slept already."""
        raise asleep


_scope: ContextVar[TaskScope | None] = ContextVar("distgraph_task", default=None)


def current_scope() -> TaskScope:
    """The scope of the node that runs here.

    Raises:
        RuntimeError: no node runs here.
    """
    scope = _scope.get()
    if scope is None:
        raise RuntimeError(
            "Called outside of a runnable context: this works only inside a node that a graph is running."
        )
    return scope


def get_runtime(context_schema: type[ContextT] | None = None) -> Runtime[ContextT]:
    """The Runtime of the node that runs here; ``context_schema`` only types the result."""
    return current_scope().runtime
