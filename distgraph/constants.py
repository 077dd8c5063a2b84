"""Names with a fixed meaning, in state, configs, task paths and results."""

from __future__ import annotations

from typing import Any, Final

#: The hidden node every run starts from; it consumes superstep 0.
START: Final = "__start__"
#: Where an edge points when its path is finished.
END: Final = "__end__"
#: Tag that hides a node from streams.
TAG_HIDDEN: Final = "langsmith:hidden"
#: Tag that keeps a node's model output out of ``stream_mode="messages"``.
TAG_NOSTREAM: Final = "nostream"

#: Channel that carries the input into START.
INPUT: Final = "__input__"
#: Channel that carries dynamic tasks (Send) into the next superstep.
TASKS: Final = "__pregel_tasks"
#: Write of a task that returned without changing anything.
NO_WRITES: Final = "__no_writes__"
#: Key of pending questions in results and streams, and their pseudo-channel among writes.
INTERRUPT: Final = "__interrupt__"
#: Pseudo-channel of answers to questions.
RESUME: Final = "__resume__"
#: Pseudo-channel of a task's failure.
ERROR: Final = "__error__"
#: Pseudo-channel that says a task failed and its error handler took over; the failed node's name.
ERROR_SOURCE: Final = "__error_source_node__"
#: Pseudo-channel of a task's sleeps: name -> when it ends, in seconds since the epoch.
SLEEP: Final = "__sleep__"
#: Pseudo-channel that says a task's writes came from the cache.
CACHED: Final = "__cached__"
#: Channel of what the functional API saved for the next call on the thread.
PREVIOUS: Final = "__previous__"
#: Pseudo-channel of a functional task's return value.
RETURN: Final = "__return__"
#: Key of ``configurable`` by which ``stream_events`` asks ``stream`` for the pieces of messages; no node sees it.
PIECES: Final = "__pieces__"
#: ``as_node`` of an update that forks a checkpoint.
COPY: Final = "__copy__"
#: Key of the metadata entry in ``updates`` chunks.
METADATA: Final = "__metadata__"
#: JSON form of ``Overwrite``.
OVERWRITE: Final = "__overwrite__"
#: Channel a schema that is not a mapping is kept in.
ROOT: Final = "__root__"
#: First part of the namespaces that node results are cached in.
CACHE_NS: Final = "__pregel_ns_writes"
#: Prefix of the channel that wakes one node.
BRANCH_TO: Final = "branch:to:"

#: First element of a task's path: an activation by channels, or by a Send.
PULL: Final = "__pregel_pull"
PUSH: Final = "__pregel_push"

#: Pseudo-channels: what tasks report about themselves, never merged into state.
CONTROL_WRITES: Final = frozenset({NO_WRITES, INTERRUPT, RESUME, ERROR, ERROR_SOURCE, SLEEP, CACHED})
#: Names a user's node or state key cannot have.
RESERVED: Final = frozenset(
    {START, END, INPUT, TASKS, NO_WRITES, INTERRUPT, RESUME, ERROR, RETURN, COPY, METADATA, OVERWRITE}
)

#: Separates parent and child in a checkpoint namespace, and a namespace from its task id.
NS_SEP: Final = "|"
NS_END: Final = ":"


def __getattr__(name: str) -> Any:
    """Names that moved to ``types``."""
    if name not in ("Send", "Interrupt"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import warnings

    from distgraph import types
    from distgraph.warnings import LangGraphDeprecatedSinceV10

    text = f"Importing {name} from distgraph.constants is deprecated. Please use 'from distgraph.types import {name}' instead."
    warnings.warn(text, LangGraphDeprecatedSinceV10, stacklevel=2)
    return getattr(types, name)
