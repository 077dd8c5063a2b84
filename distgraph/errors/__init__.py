"""Every error distgraph raises, in one tree.

    DistgraphError
    ├── GraphError                     the graph itself is wrong (build, compile)
    │   ├── GraphValidationError       compile found problems; all of them, at once   (ValueError)
    │   └── GraphNotFoundError         no such graph name here or on any worker       (LookupError)
    ├── ConfigError                    a config key, option or setting is wrong       (ValueError)
    ├── InputError                     what a caller passed in is wrong               (ValueError)
    │   ├── EmptyInputError            nothing to run and nothing to resume
    │   ├── InvalidUpdateError         a write the channels do not accept
    │   ├── InvalidNodeReturnError     a node returned something that is no update
    │   ├── UnknownInterruptError      a resume value for an interrupt that is not pending
    │   │   └── AlreadyResumedError    somebody else has answered it
    │   ├── InvalidAnswerError         an answer that does not fit the question's schema; it still waits
    │   ├── InvalidNamespaceError      labels that are no namespace of a store
    │   └── BatchItemError             a line of a batch file that is no item
    ├── RunError                       a run could not go on
    │   ├── GraphRecursionError        no superstep left in the budget                (RecursionError)
    │   ├── NodeTimeoutError           a node ran out of its time
    │   ├── NodeCancelledError         a node cancelled itself
    │   ├── StepTimeoutError           a superstep ran out of its time                (TimeoutError)
    │   ├── RoutingError               an edge, Send or Command names an unknown node
    │   ├── JoinStalledError           a join can no longer fire
    │   ├── RemoteNodeError            a node's exception whose class is not importable here
    │   ├── PoisonTaskError            a task killed its process too often
    │   ├── RunCancelledError          the run was cancelled
    │   ├── RunNotFoundError           no such run                                    (LookupError)
    │   │   └── ResultExpiredError     it has been, and its retention is over
    │   ├── EventsTrimmedError         events of the run that were asked for are not kept any more
    │   ├── RunActiveError             the run has not come to its end
    │   ├── BatchNotFoundError         no such batch                                  (LookupError)
    │   │   └── BatchExpiredError      it has been, and its retention is over
    │   ├── RunExistsError             the id is taken by a run with another input
    │   ├── BatchExistsError           the id is taken by a batch with other content
    │   ├── BatchCancelledError        the batch was cancelled while its items were sent
    │   ├── BatchLostError             the server was rolled back and lost a part of the batch
    │   ├── ThreadBusyError            the thread has an active run already
    │   ├── StateTooLargeError         a value, a task's writes or a state is larger than is stored
    │   ├── GraphMismatchError         workers serve another version of the graph
    │   ├── GraphDrained               the run stopped at a superstep because a drain was asked for
    │   └── WaitTimeoutError           a wait ran out of its time; the work goes on   (TimeoutError)
    ├── CodecError                     a value cannot be stored                       (TypeError)
    │   ├── UntrustedTypeError         stored bytes name a type that was not registered
    │   └── NewerFormatError           stored bytes are whole, in a format only a newer distgraph reads
    ├── CheckpointCorruptError         stored bytes are damaged
    │   └── TamperedDataError          stored bytes are not signed with a known key
    ├── ProcessFailedError             a process that distgraph starts ended too soon (RuntimeError)
    └── StoreError                     the server behind the ledger, or another place where state is kept
        ├── DatabaseFileError          a database file cannot be used
        ├── ServerUnreachableError     nobody answers                                 (ConnectionError)
        ├── ServerAuthError            wrong password or missing permission           (PermissionError)
        ├── ServerTooOldError          older than distgraph needs
        ├── ServerSettingError         a setting that would lose data (eviction, cluster mode, ...)
        ├── ServerReadOnlyError        a replica answered
        ├── ServerLoadingError         the server is still loading its data
        ├── ServerNotReadyError        it cannot serve now: too many clients, a full disk, ...
        ├── ServerProtocolError        what answers is not Redis
        ├── OverloadedError            there is no room for more work now
        ├── ServerOutOfMemoryError     maxmemory is reached; nothing was written
        └── LedgerCorruptError         a key holds what distgraph did not put there

Control flow is not an error: ``GraphBubbleUp`` and its kinds stand outside the tree, in ``signals.py``, so that
``except DistgraphError`` never swallows an interrupt.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from distgraph.errors.base import DistgraphError as DistgraphError
from distgraph.errors.signals import GraphBubbleUp as GraphBubbleUp
from distgraph.errors.signals import GraphDrained as GraphDrained
from distgraph.errors.signals import GraphInterrupt as GraphInterrupt
from distgraph.errors.signals import GraphSleep as GraphSleep
from distgraph.errors.signals import NodeError as NodeError
from distgraph.errors.signals import NodeInterrupt as NodeInterrupt
from distgraph.errors.signals import ParentCommand as ParentCommand
from distgraph.errors.signals import invalid_resume_of as invalid_resume_of
from distgraph.errors.signals import is_invalid_resume as is_invalid_resume
from distgraph.errors.signals import mark_invalid_resume as mark_invalid_resume
from distgraph.errors.signals import refused_by as refused_by
from distgraph.errors.storage import *  # noqa: F403 - its __all__ says what they are


class ErrorCode(Enum):
    """Codes LangGraph's users know; ours are the ``code`` attribute of each class."""

    GRAPH_RECURSION_LIMIT = "GRAPH_RECURSION_LIMIT"
    INVALID_CONCURRENT_GRAPH_UPDATE = "INVALID_CONCURRENT_GRAPH_UPDATE"
    INVALID_GRAPH_NODE_RETURN_VALUE = "INVALID_GRAPH_NODE_RETURN_VALUE"
    MULTIPLE_SUBGRAPHS = "MULTIPLE_SUBGRAPHS"
    INVALID_CHAT_HISTORY = "INVALID_CHAT_HISTORY"


# ---------------------------------------------------------------- the graph


class GraphError(DistgraphError):
    """The graph itself is wrong."""

    code = "GRAPH_ERROR"


class GraphValidationError(GraphError, ValueError):
    """Compile found problems. ``problems`` holds all of them, in the order of the text."""

    code = "GRAPH_INVALID"

    def __init__(self, message: str, problems: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class GraphNotFoundError(GraphError, LookupError):
    """No graph of that name is known here or was ever served by a worker."""

    code = "GRAPH_NOT_FOUND"


# ------------------------------------------------------- what a caller passed


class ConfigError(DistgraphError, ValueError):
    """A config key, option or setting is wrong."""

    code = "CONFIG_INVALID"


class InputError(DistgraphError, ValueError):
    """What a caller passed in is wrong."""

    code = "INPUT_INVALID"


class EmptyInputError(InputError):
    """Nothing to run and nothing to resume."""

    code = "INPUT_EMPTY"


class InvalidUpdateError(InputError):
    """A write that the channels do not accept."""

    code = "UPDATE_INVALID"


class InvalidNodeReturnError(InvalidUpdateError):
    """A node returned something that is no update."""

    code = "NODE_RETURN_INVALID"


class UnknownInterruptError(InputError, RuntimeError):
    """A resume value names an interrupt that is not pending.

    ``reason`` is "not_pending", "passed", "empty_map" or "ambiguous"; ``interrupt_ids`` are the ids that nobody waits for,
    ``pending_ids`` those that wait.
    """

    code = "INTERRUPT_UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "not_pending",
        interrupt_ids: Sequence[str] = (),
        pending_ids: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.interrupt_ids, self.pending_ids = tuple(interrupt_ids), tuple(pending_ids)


class AlreadyResumedError(UnknownInterruptError):
    """The question was answered already, by somebody else or by an earlier call; that answer stands."""

    code = "INTERRUPT_ANSWERED"

    def __init__(self, message: str, *, reason: str = "answered") -> None:
        super().__init__(message, reason=reason)


class InvalidAnswerError(InputError):
    """On a cluster: an answer that does not fit its question's ``response_schema``. The question still waits.

    ``interrupt_id`` is the question's.
    """

    code = "ANSWER_INVALID"

    def __init__(self, message: str, *, interrupt_id: str = "") -> None:
        super().__init__(message)
        self.interrupt_id = interrupt_id
        mark_invalid_resume(self, 0)


class InvalidNamespaceError(InputError):
    """Labels that are no namespace of a store."""

    code = "NAMESPACE_INVALID"


class BatchItemError(InputError):
    """A line of a batch file that is no item: ``line`` counts from 1."""

    code = "BATCH_ITEM_INVALID"

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


# --------------------------------------------------------------------- runs


class RunError(DistgraphError):
    """A run could not go on."""

    code = "RUN_FAILED"


class GraphRecursionError(RunError, RecursionError):
    """No superstep is left in the run's budget; the state is saved and the run can be continued."""

    code = "GRAPH_RECURSION_LIMIT"


class NodeTimeoutError(RunError):
    """A node ran out of its time. ``kind`` is "run" or "idle", ``timeout`` its limit; durations are seconds."""

    code = "NODE_TIMEOUT"

    def __init__(
        self,
        node: str,
        elapsed: float,
        *,
        kind: str = "run",
        idle_timeout: float | None = None,
        run_timeout: float | None = None,
    ) -> None:
        limit = {"run": run_timeout, "idle": idle_timeout}.get(kind)
        if limit is None:
            raise ValueError(f"{kind}_timeout is required when kind={kind!r}; kind must be 'idle' or 'run'.")
        super().__init__(
            f"Node {node!r} exceeded its {kind} timeout of {limit:.3f}s{' without making progress' * (kind == 'idle')} "
            f"(elapsed: {elapsed:.3f}s). Raise the node's timeout, or make the node faster."
        )
        self.node, self.timeout, self.kind, self.elapsed = node, limit, kind, elapsed
        self.run_timeout, self.idle_timeout = run_timeout, idle_timeout


class NodeCancelledError(RunError):
    """A node raised ``CancelledError`` itself although nobody cancelled it."""

    code = "NODE_CANCELLED"

    def __init__(self, node: str, message: str | None = None) -> None:
        super().__init__(
            message
            or f"Node {node!r} raised asyncio.CancelledError: it cancelled itself, although its run was not cancelled."
        )
        self.node = node


class StepTimeoutError(RunError, TimeoutError):
    """A superstep ran out of its time."""

    code = "STEP_TIMEOUT"


class RunTimeoutError(RunError, TimeoutError):
    """A run on workers ran out of its time; the state is saved and the run can be continued."""

    code = "RUN_TIMEOUT"


class StateTooLargeError(RunError):
    """A value, what one task writes, or a whole state is larger than is stored; nothing of that superstep was."""

    code = "STATE_TOO_LARGE"


class RoutingError(RunError, InvalidUpdateError):
    """An edge, Send or Command names a node that does not exist; following it would lose work."""

    code = "ROUTING_UNKNOWN_NODE"


class JoinStalledError(RunError):
    """Nothing is left to run, and a join has only some of its nodes: the node behind it would be left out silently."""

    code = "JOIN_STALLED"


class RemoteNodeError(RunError):
    """A node failed on a worker with an exception that cannot be rebuilt here.

    ``type_name`` is its qualified class name, ``traceback_text`` what the worker printed.
    """

    code = "NODE_FAILED"

    def __init__(self, message: str, *, type_name: str = "", traceback_text: str = "") -> None:
        super().__init__(message)
        self.type_name, self.traceback_text = type_name, traceback_text


class PoisonTaskError(RunError):
    """A task killed its process too often and was quarantined; the batch goes on without it.

    ``reason`` is what the last of its ``crashes`` processes died of.
    """

    code = "TASK_POISON"
    reason = ""
    crashes = 0
    node = ""


class RunCancelledError(RunError):
    """The run was cancelled."""

    code = "RUN_CANCELLED"


class RunNotFoundError(RunError, LookupError):
    """No such run: never submitted here, or its record was deleted after its retention."""

    code = "RUN_NOT_FOUND"


class ResultExpiredError(RunNotFoundError):
    """The run has been, and was deleted when its retention was over. ``run_id``; ``when``: a datetime."""

    code = "RESULT_EXPIRED"

    def __init__(self, message: str, *, run_id: str, when: datetime) -> None:
        super().__init__(message)
        self.run_id, self.when = run_id, when


class EventsTrimmedError(RunError):
    """Events of the run that were asked for are not in its log any more: a log keeps the newest ones."""

    code = "EVENTS_TRIMMED"


class RunActiveError(RunError):
    """The run has not come to its end: it goes on, or waits for an answer."""

    code = "RUN_ACTIVE"


class BatchNotFoundError(RunError, LookupError):
    """No such batch: never submitted here, or deleted after its retention."""

    code = "BATCH_NOT_FOUND"


class BatchExpiredError(BatchNotFoundError):
    """The batch has been, and was deleted when its retention was over. ``batch_id``; ``when``: a datetime."""

    code = "BATCH_EXPIRED"

    def __init__(self, message: str, *, batch_id: str, when: datetime) -> None:
        super().__init__(message)
        self.batch_id, self.when = batch_id, when


class RunExistsError(RunError):
    """The run id is taken by a run with another input."""

    code = "RUN_EXISTS"


class BatchExistsError(RunError):
    """The batch id is taken by a batch with other content."""

    code = "BATCH_EXISTS"


class BatchCancelledError(RunError):
    """The batch was cancelled while its items were sent. It holds those that came before, and takes no more. ``batch_id``."""

    code = "BATCH_CANCELLED"

    def __init__(self, message: str, *, batch_id: str = "") -> None:
        super().__init__(message)
        self.batch_id = batch_id


class BatchLostError(RunError):
    """The server was rolled back and has lost a part of the batch; the text says which, and how it goes on."""

    code = "BATCH_LOST"


class ThreadBusyError(RunError):
    """The thread has an active run already (policy ``reject``). ``run_id`` names it."""

    code = "THREAD_BUSY"

    def __init__(self, message: str, *, run_id: str | None = None) -> None:
        super().__init__(message)
        self.run_id = run_id


class GraphMismatchError(RunError):
    """Workers serve another version of the graph than the caller's; nothing was submitted."""

    code = "GRAPH_MISMATCH"


class WaitTimeoutError(RunError, TimeoutError):
    """A wait ran out of its time; the work itself goes on."""

    code = "WAIT_TIMEOUT"


# ------------------------------------------------------------ stored values


class CodecError(DistgraphError, TypeError):
    """A value cannot be stored; the text names the path to it and its type."""

    code = "VALUE_NOT_STORABLE"


class UntrustedTypeError(CodecError):
    """Stored bytes name a type that the graph's schema did not register."""

    code = "TYPE_UNTRUSTED"


class NewerFormatError(CodecError):
    """Stored bytes are whole, but written by a newer distgraph: this process must be updated to read them."""

    code = "FORMAT_NEWER"


class CheckpointCorruptError(DistgraphError):
    """Stored bytes are damaged: checksum, length or magic do not fit."""

    code = "CHECKPOINT_CORRUPT"


class TamperedDataError(CheckpointCorruptError):
    """A secret is set and the stored bytes are unsigned, or signed with another key."""

    code = "DATA_TAMPERED"


# ------------------------------------------------------------- control flow
# Names, bases and arguments as LangGraph's users catch them.


class EmptyChannelError(DistgraphError):
    """A channel was read before it was first written."""

    code = "CHANNEL_EMPTY"


class TaskNotFound(DistgraphError):
    """A task id that the checkpoint does not plan."""

    code = "TASK_NOT_FOUND"


def create_error_message(*, message: str, error_code: ErrorCode) -> str:
    """The text with its code, in the form users search for."""
    return f"{message}\nError code: {error_code.value}"


class ProcessFailedError(DistgraphError, RuntimeError):
    """A process that distgraph starts (server, worker, Flower) ended, or was not ready in time; with its log's end."""

    code = "PROCESS_FAILED"
