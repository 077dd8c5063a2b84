"""What streams are made of: the parts of a stream with ``version="v2"``, and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from distgraph.types import Interrupt


class ValuesStreamPart(TypedDict):
    """The state after a superstep; ``interrupts`` are what the run waits for."""

    type: Literal["values"]
    ns: tuple[str, ...]
    data: Any
    interrupts: tuple[Interrupt, ...]


class UpdatesStreamPart(TypedDict):
    """What one task wrote, by its node's name."""

    type: Literal["updates"]
    ns: tuple[str, ...]
    data: dict[str, Any]


class MessagesStreamPart(TypedDict):
    """A message, or a piece of one, and about the task that sent it."""

    type: Literal["messages"]
    ns: tuple[str, ...]
    data: tuple[Any, dict[str, Any]]


class CustomStreamPart(TypedDict):
    """What a node gave to its stream writer."""

    type: Literal["custom"]
    ns: tuple[str, ...]
    data: Any


class TaskPayload(TypedDict, total=False):
    """A task begins."""

    id: str
    name: str
    input: Any
    triggers: tuple[str, ...]
    metadata: dict[str, Any]


class TaskResultPayload(TypedDict):
    """A task has ended: with what it wrote, with an error, or with questions."""

    id: str
    name: str
    error: Any
    interrupts: list[dict[str, Any]]
    result: dict[str, Any]


class CheckpointTask(TypedDict, total=False):
    """One task of the superstep that follows a checkpoint."""

    id: str
    name: str
    error: Any
    interrupts: tuple[dict[str, Any], ...]
    state: Any
    result: Any


class CheckpointPayload(TypedDict):
    """A checkpoint, as ``get_state`` tells of it."""

    config: Any
    parent_config: Any
    values: Any
    metadata: dict[str, Any]
    next: list[str]
    tasks: list[CheckpointTask]


class DebugPayload(TypedDict):
    """A checkpoint, a task's begin or its end, with superstep and time."""

    step: int
    timestamp: str
    type: Literal["checkpoint", "task", "task_result"]
    payload: CheckpointPayload | TaskPayload | TaskResultPayload


class TasksStreamPart(TypedDict):
    """A task begins or has ended."""

    type: Literal["tasks"]
    ns: tuple[str, ...]
    data: TaskPayload | TaskResultPayload


class CheckpointStreamPart(TypedDict):
    """A checkpoint was made."""

    type: Literal["checkpoints"]
    ns: tuple[str, ...]
    data: CheckpointPayload


class DebugStreamPart(TypedDict):
    """Everything about checkpoints and tasks."""

    type: Literal["debug"]
    ns: tuple[str, ...]
    data: DebugPayload


StreamPart = (
    ValuesStreamPart
    | UpdatesStreamPart
    | MessagesStreamPart
    | CustomStreamPart
    | CheckpointStreamPart
    | TasksStreamPart
    | DebugStreamPart
)
