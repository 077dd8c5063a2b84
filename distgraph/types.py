"""The values users pass in and get back: Send, Command, interrupts, policies, snapshots.

Plain frozen dataclasses, no behaviour beyond construction; they may all travel to a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar, cast

from distgraph.constants import OVERWRITE
from distgraph.errors import ConfigError
from distgraph.parts import (
    CheckpointPayload as CheckpointPayload,
)
from distgraph.parts import (
    CheckpointStreamPart as CheckpointStreamPart,
)
from distgraph.parts import (
    CheckpointTask as CheckpointTask,
)
from distgraph.parts import (
    CustomStreamPart as CustomStreamPart,
)
from distgraph.parts import (
    DebugPayload as DebugPayload,
)
from distgraph.parts import (
    DebugStreamPart as DebugStreamPart,
)
from distgraph.parts import (
    MessagesStreamPart as MessagesStreamPart,
)
from distgraph.parts import (
    StreamPart as StreamPart,
)
from distgraph.parts import (
    TaskPayload as TaskPayload,
)
from distgraph.parts import (
    TaskResultPayload as TaskResultPayload,
)
from distgraph.parts import (
    TasksStreamPart as TasksStreamPart,
)
from distgraph.parts import (
    UpdatesStreamPart as UpdatesStreamPart,
)
from distgraph.parts import (
    ValuesStreamPart as ValuesStreamPart,
)

N = TypeVar("N", bound=Hashable)
T = TypeVar("T")


class Missing:
    """The type of ``MISSING``: no value, where ``None`` is a value."""

    _instance: ClassVar[Missing | None] = None

    def __new__(cls) -> Missing:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()

All: TypeAlias = Literal["*"]
Durability: TypeAlias = Literal["sync", "async", "exit"]
Placement: TypeAlias = Literal["auto", "spread", "local"]
#: What a new run does on a cluster where its thread has an active one.
#:   reject      it is refused with ThreadBusyError, which names that run (the default)
#:   enqueue     it waits in line, and starts when the runs before it have ended and none waits for an answer
#:   interrupt   that run is cancelled at once; its checkpoints stay, and the new run goes on from them
#:   rollback    that run is cancelled, and the thread goes back to where it stood before it
MultitaskStrategy: TypeAlias = Literal["reject", "enqueue", "interrupt", "rollback"]
StreamMode: TypeAlias = Literal["values", "updates", "checkpoints", "tasks", "debug", "messages", "tools", "custom"]
StreamWriter: TypeAlias = Callable[[Any], None]
#: A write: the channel's name and the value offered to it.
Write: TypeAlias = tuple[str, Any]
#: A task's path: ("__pregel_pull", node) or ("__pregel_push", index, False).
TaskPath: TypeAlias = tuple[Any, ...]
#: What ``compile(checkpointer=)`` takes besides a saver.
Checkpointer: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Send:
    """Run ``node`` in the next superstep with ``arg`` as its entire input, besides what else runs there.

    Attributes:
        node: the node's name.
        arg: the whole input of that activation; the graph's state is not merged in.
        timeout: limits of this activation, over the node's own; seconds, a ``timedelta`` or a ``TimeoutPolicy`` are
            taken, and are a ``TimeoutPolicy`` then.
    """

    node: str
    arg: Any
    timeout: Any = None

    def __post_init__(self) -> None:
        if self.timeout is not None:
            object.__setattr__(self, "timeout", TimeoutPolicy.coerce(self.timeout))

    def __hash__(self) -> int:
        return hash((self.node, repr(self.arg)))

    def __repr__(self) -> str:
        limit = "" if self.timeout is None else f", timeout={self.timeout!r}"
        return f"Send(node={self.node!r}, arg={self.arg!r}{limit})"


@dataclass(frozen=True, slots=True)
class Overwrite:
    """Replace a channel's value, past its reducer; at most one a superstep and channel."""

    value: Any
    type: Literal["__overwrite__"] = OVERWRITE


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[N]):
    """Change the state and choose what runs next, in one return value.

    Attributes:
        graph: ``None`` for this graph, ``Command.PARENT`` for the parent of a nested graph.
        update: the change: a dict, a list of (key, value), or a schema object.
        resume: on input only: the answer to an interrupt, or ``{interrupt_id: answer}``.
        goto: node names and ``Send``s to run next, added to the node's edges.
    """

    graph: str | None = None
    update: Any | None = None
    resume: Any = None
    goto: Send | Sequence[Send | N] | N = ()

    PARENT: ClassVar[Literal["__parent__"]] = "__parent__"

    def __repr__(self) -> str:
        given = ((name, getattr(self, name)) for name in ("graph", "update", "resume", "goto"))
        return f"Command({', '.join(f'{name}={value!r}' for name, value in given if value)})"


@dataclass(frozen=True, slots=True)
class Interrupt:
    """A question a node asked with ``interrupt()``.

    Attributes:
        value: what the node passed; shown to whoever answers.
        id: 32 hex digits; ``Command(resume={id: answer})`` answers exactly this one.
        response_schema: JSON schema (or type) of the expected answer, if the node gave one.
    """

    value: Any
    id: str = "placeholder-id"
    response_schema: Any = None

    def __init__(
        self, value: Any, id: str = "placeholder-id", response_schema: Any = None, *, ns: Any = None, **older: Any
    ) -> None:
        if unknown := older.keys() - {"resumable", "when", "interrupt_id"}:
            raise TypeError(f"Interrupt() got an unexpected keyword argument {min(unknown)!r}")
        if ns is not None and id == "placeholder-id":
            # As interrupts were made when they had a namespace instead of an id.
            id = type(self).from_ns(value, "|".join(ns)).id
        for name, given in (("value", value), ("id", id), ("response_schema", response_schema)):
            object.__setattr__(self, name, given)

    @classmethod
    def from_ns(cls, value: Any, ns: str, *, response_schema: Any = None) -> Interrupt:
        """The first question of the task whose checkpoint namespace is ``ns``."""
        from distgraph.digests import interrupt_id

        return cls(value, interrupt_id(ns, 0), response_schema)

    @property
    def interrupt_id(self) -> str:
        """The older name of ``id``."""
        import warnings

        from distgraph.warnings import LangGraphDeprecatedSinceV10

        text = "`interrupt_id` is deprecated. Use `id` instead."
        warnings.warn(text, LangGraphDeprecatedSinceV10, stacklevel=2)
        return self.id


class CacheKey(NamedTuple):
    """Where a node's writes are cached."""

    ns: tuple[str, ...]
    key: str
    ttl: int | None


def _default_cache_key(*args: Any, **kwargs: Any) -> str:
    """Equal inputs, equal keys, in every process."""
    from distgraph.digests import input_digest

    return input_digest((args, kwargs))


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePolicy:
    """What tracers of LangChain's record of a node's own run: to keep it small. No way to hide secrets.

    Runs inside of it, and other handlers, are told everything. Where one of these raises, the value itself is recorded.

    Attributes:
        process_inputs: input of the node -> what is recorded of it.
        process_outputs: output of the node -> what is recorded of it.
    """

    process_inputs: Callable[[Any], Any] | None = None
    process_outputs: Callable[[Any], Any] | None = None


def omit_payload(_value: Any) -> dict[str, Any]:
    """For a ``TracePolicy``: record nothing of it."""
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy(Generic[T]):
    """Reuse a node's writes for equal inputs: ``key_func`` names the input, ``ttl`` is seconds (None: for ever)."""

    key_func: Callable[..., str | bytes] = _default_cache_key
    ttl: int | None = None


#: Exceptions whose repetition cannot help; everything else is worth another attempt.
_NOT_RETRIED = (
    ValueError,
    TypeError,
    ArithmeticError,
    ImportError,
    LookupError,
    NameError,
    SyntaxError,
    RuntimeError,
    ReferenceError,
    StopIteration,
    StopAsyncIteration,
    OSError,
)


def default_retry_on(exc: BaseException) -> bool:
    """Whether another attempt may help: connections and 5xx answers yes, programming errors no."""
    if isinstance(exc, ConnectionError):
        return True
    status = getattr(getattr(exc, "response", None), "status_code", None)
    if isinstance(status, int):
        return 500 <= status < 600
    return not isinstance(exc, _NOT_RETRIED)


class RetryPolicy(NamedTuple):
    """When and how often a failed node is tried again. Durations are seconds."""

    #: Wait before the second attempt.
    initial_interval: float = 0.5
    #: Each further wait is this many times the one before.
    backoff_factor: float = 2.0
    #: No wait is longer.
    max_interval: float = 128.0
    #: Attempts in all, the first included.
    max_attempts: int = 3
    #: Add up to one second at random, so that many failures do not come back together.
    jitter: bool = True
    #: Exception class, classes, or predicate.
    retry_on: type[BaseException] | Sequence[type[BaseException]] | Callable[[Exception], bool] = default_retry_on

    def matches(self, exc: BaseException) -> bool:
        """Whether this policy covers ``exc``."""
        rule = self.retry_on
        if isinstance(rule, type):
            return isinstance(exc, rule)
        if callable(rule):
            return bool(cast("Callable[[BaseException], bool]", rule)(exc))
        return isinstance(exc, tuple(rule))

    def oddities(self) -> list[str]:
        """What of its numbers cannot be meant, in words; [] for a policy as it should be."""
        attempts = self.max_attempts
        found = [] if type(attempts) is int and attempts >= 1 else [f"max_attempts={attempts!r}, not an int from 1 on"]
        for name, least in (("initial_interval", 0), ("max_interval", 0), ("backoff_factor", 1)):
            value = getattr(self, name)
            # NaN is below nothing, and at least nothing.
            found += [] if value >= least else [f"{name}={value!r}, not at least {least}"]
        return found + ([] if isinstance(self.jitter, bool) else [f"jitter={self.jitter!r}, which is on or off"])

    def delay(self, attempt: int, noise: float) -> float:
        """Seconds to wait after failed ``attempt`` (from 1); ``noise`` in [0, 1) is the caller's randomness."""
        try:
            wait = max(0.0, min(self.max_interval, self.initial_interval * self.backoff_factor ** (attempt - 1)))
        except OverflowError:
            wait = self.max_interval
        return wait + noise if self.jitter else wait


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutPolicy:
    """Time limits of one attempt, in seconds or ``timedelta``.

    Attributes:
        run_timeout: for the whole attempt.
        idle_timeout: since the last sign of progress.
        refresh_on: what counts as progress: any output ("auto") or ``runtime.heartbeat()`` alone.
    """

    run_timeout: Any = None
    idle_timeout: Any = None
    refresh_on: Literal["auto", "heartbeat"] = "auto"

    @classmethod
    def coerce(cls, value: Any) -> TimeoutPolicy | None:
        """A policy in seconds out of seconds, a ``timedelta``, a policy, or None; None where nothing is limited.

        Raises:
            ConfigError: a limit that is not positive or not finite, or an unknown ``refresh_on``.
        """
        if value is None:
            return None
        policy = value if isinstance(value, cls) else cls(run_timeout=value)
        if policy.refresh_on not in ("auto", "heartbeat"):
            raise ConfigError(f"refresh_on must be 'auto' or 'heartbeat', got {policy.refresh_on!r}.")
        run, idle = _seconds("run_timeout", policy.run_timeout), _seconds("idle_timeout", policy.idle_timeout)
        if run is None and idle is None:
            return None
        return cls(run_timeout=run, idle_timeout=idle, refresh_on=policy.refresh_on)


def _seconds(what: str, value: Any) -> float | None:
    if value is None:
        return None
    seconds = value.total_seconds() if hasattr(value, "total_seconds") else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{what} must be seconds or a timedelta, got {value!r}.")
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"{what} must be greater than 0 and finite, got {value!r}.")
    return float(seconds)


class StateUpdate(NamedTuple):
    """One change of ``bulk_update_state``: values written as if by node ``as_node``."""

    values: Any
    as_node: str | None = None
    task_id: str | None = None


class PregelTask(NamedTuple):
    """One activation of a node as a snapshot shows it."""

    id: str
    name: str
    path: TaskPath
    error: Any = None
    interrupts: tuple[Interrupt, ...] = ()
    state: Any = None
    result: Any = None


class StateSnapshot(NamedTuple):
    """The user's view of a checkpoint."""

    #: Channel values, as the output schema shows them.
    values: Any
    #: Names of the nodes that run next.
    next: tuple[str, ...]
    #: The config that fetches this snapshot.
    config: Any
    metadata: Any
    #: ISO 8601, UTC.
    created_at: str | None
    parent_config: Any
    tasks: tuple[PregelTask, ...]
    interrupts: tuple[Interrupt, ...]


@dataclass(frozen=True, slots=True)
class GraphOutput(Generic[T]):
    """What ``invoke(version="v2")`` returns: the output and the questions that wait."""

    value: T
    interrupts: tuple[Interrupt, ...] = field(default=())

    def __getitem__(self, key: Any) -> Any:
        _access_by_key("result[key]")
        if key == "__interrupt__":
            return self.interrupts
        return cast("Mapping[Any, Any]", self.value)[key]

    def __contains__(self, key: object) -> bool:
        _access_by_key("key in result")
        return (key == "__interrupt__" and bool(self.interrupts)) or key in cast("Mapping[Any, Any]", self.value)


def _access_by_key(how: str) -> None:
    import warnings

    from distgraph.warnings import LangGraphDeprecatedSinceV11

    text = f"Accessing GraphOutput via `{how}` is deprecated. Use `result.value` and `result.interrupts` instead."
    warnings.warn(text, LangGraphDeprecatedSinceV11, stacklevel=3)


def interrupt(value: Any, *, response_schema: Any = None) -> Any:
    """Ask for an answer and return it; the first time this stops the run until somebody resumes it.

    The node runs again from its top when the answer comes; calls are matched to answers by their order.

    Args:
        value: the question; anything the codec stores.
        response_schema: JSON schema or type of the answer, shown to whoever answers.

    Raises:
        GraphInterrupt: no answer yet. Let it pass; do not catch it.
        RuntimeError: called outside a node.
    """
    from distgraph.runtime import current_scope

    return current_scope().ask(value, response_schema)
