"""What the builder's methods check and work out about one declaration."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from distgraph.constants import END, NS_END, NS_SEP, START
from distgraph.graph.hints import literal_ends
from distgraph.graph.problems import MissingActionError, Place, Problem, WrongTypeError, refusal
from distgraph.graph.specs import NodeDefaults, NodeSpec
from distgraph.types import Placement, RetryPolicy
from distgraph.warnings import LangGraphDeprecatedSinceV05, LangGraphDeprecatedSinceV10

#: The peer's: a program that never named its graph sees the same in schemas and traces.
DEFAULT_NAME = "LangGraph"
HANDLER = "__error_handler__"
DEFAULT_HANDLER = "__default_error_handler__"
NO_SYNC_TIMEOUT = (
    "Node timeouts are only supported for async nodes because a running sync function cannot be stopped without its "
    "process. Node {name!r} is sync."
)
_PLACEMENTS = (None, "auto", "spread", "local")
_GIVE_ACTION = "Give a function, an async function, a callable object, a runnable or a compiled graph."


# ------------------------------------------------------------ arguments with older names


def renamed(given: dict[str, Any], old: str, new: str, value: Any) -> Any:
    """The value of argument ``new``, or what was given under its older name ``old``."""
    if old not in given:
        return value
    later = old in ("config_schema", "config_type")
    kind = LangGraphDeprecatedSinceV10 if later else LangGraphDeprecatedSinceV05
    warnings.warn(f"`{old}` is deprecated and will be removed. Please use `{new}` instead.", kind, stacklevel=3)
    older = given.pop(old)
    return older if value is None else value


def no_more(given: Mapping[str, Any], what: str) -> None:
    """Refuse arguments that nobody takes."""
    if given:
        raise TypeError(f"{what}() got an unexpected keyword argument {next(iter(given))!r}")


# ------------------------------------------------------------ nodes


def name_of(action: Any, place: Place | None) -> str:
    """The name of a node that was added without one."""
    own = action.get_name() if hasattr(action, "get_name") else getattr(action, "__name__", type(action).__name__)
    if isinstance(own, str) and not isinstance(action, int | float | bytes | None):
        return own
    text = f"A node's name must be a str, got {action!r:.80} ({type(action).__name__})."
    raise refusal(Problem("node-name", text, "Pass add_node(name, action).", place), kind=WrongTypeError)


def check_node(name: str, action: Any, queue: str | None, placement: Placement | None, place: Place) -> None:
    """Refuse what one ``add_node`` call shows to be wrong."""
    if action is None:
        text = f"Node {name!r} has nothing to call."
        raise refusal(Problem("node-without-action", text, _GIVE_ACTION, place), kind=MissingActionError)
    if name in (START, END):
        raise refusal(Problem("node-name", f"Node `{name}` is reserved.", "Choose another name.", place))
    for sign in (NS_SEP, NS_END):
        if sign in name:
            text = f"'{sign}' is a reserved character and is not allowed in the node names, as in {name!r}."
            raise refusal(Problem("node-name", text, "Use letters, digits, '-', '_' or '.'.", place))
    if placement not in _PLACEMENTS:
        text = f"Node {name!r} has the unknown placement {placement!r}."
        raise refusal(Problem("node-placement", text, "Use 'auto', 'spread' or 'local'.", place))
    if queue is not None and not _is_queue(queue):
        text = f"Node {name!r} has the queue {queue!r}, which is no queue name."
        raise refusal(Problem("node-queue", text, "Use 1 to 200 characters without whitespace.", place))
    for part in action.values() if isinstance(action, Mapping) else (action,):
        if not (callable(part) or hasattr(part, "invoke") or hasattr(part, "ainvoke")):
            text = f"Node {name!r} is a {type(part).__name__}, which cannot be called."
            raise refusal(Problem("node-without-action", text, _GIVE_ACTION, place), kind=WrongTypeError)


def _is_queue(queue: Any) -> bool:
    return isinstance(queue, str) and 0 < len(queue) <= 200 and not any(sign.isspace() for sign in queue)


def ends_of(destinations: Mapping[str, str] | Sequence[str]) -> tuple[str, ...] | Mapping[str, str]:
    """Declared destinations of a node: names with labels, or names."""
    return dict(destinations) if isinstance(destinations, Mapping) else tuple(destinations)


def with_defaults(nodes: Mapping[str, NodeSpec], defaults: NodeDefaults, state_schema: Any) -> dict[str, NodeSpec]:
    """The nodes with the builder's defaults filled in, and the default error handler as one more."""
    if defaults == NodeDefaults():
        return dict(nodes)
    filled = {name: _filled(spec, defaults) for name, spec in nodes.items()}
    if defaults.error_handler is not None:
        handler = NodeSpec(defaults.error_handler, None, state_schema, is_error_handler=True)
        filled[DEFAULT_HANDLER] = _filled(handler, defaults)
    return filled


def _filled(spec: NodeSpec, defaults: NodeDefaults) -> NodeSpec:
    filled = replace(spec)
    if spec.retry_policy is None:
        filled.retry_policy = defaults.retry_policy
    if spec.timeout is None:
        filled.timeout = defaults.timeout
    if spec.is_error_handler:
        # A handler's result must not be reused for another failure, and no handler catches a handler.
        return filled
    if spec.cache_policy is None:
        filled.cache_policy = defaults.cache_policy
    if spec.error_handler_node is None and defaults.error_handler is not None:
        filled.error_handler_node = DEFAULT_HANDLER
    return filled


def policies_of(policy: RetryPolicy | Sequence[RetryPolicy] | None) -> tuple[RetryPolicy, ...]:
    """Retry policies as given: none, one, or several."""
    if policy is None:
        return ()
    return (policy,) if isinstance(policy, RetryPolicy) else tuple(policy)


def handler_name(node: str) -> str:
    """How a message names an error handler, which is a node with a name of the engine's."""
    return "of all nodes" if node == DEFAULT_HANDLER else f"of node {node.removeprefix(HANDLER)!r}"


# ------------------------------------------------------------ edges


def branch_name(path: Any) -> str:
    """The name of a conditional edge: its function's, or "condition" where that has none."""
    name = getattr(path, "__name__", None) or getattr(path, "name", None)
    return name if isinstance(name, str) and name != "<lambda>" else "condition"


def path_map_of(path_map: Mapping[Any, str] | Sequence[str] | None, returned: Any) -> Mapping[Hashable, str] | None:
    """Result -> node of a conditional edge; None where it may lead to any node."""
    if isinstance(path_map, Mapping):
        return dict(path_map)
    if path_map is not None:
        return {name: name for name in path_map}
    return {name: name for name in literal_ends(returned)} or None


def stops_of(names: Any) -> tuple[str, ...] | Literal["*"]:
    """``interrupt_before`` and ``interrupt_after`` as given: names, one name, or "*"."""
    if names is None:
        return ()
    if isinstance(names, str):
        return "*" if names == "*" else (names,)
    return tuple(names)


def check_checkpointer(checkpointer: Any) -> None:
    """Refuse what is no saver. What has its methods is one, such as the savers that others wrote for LangGraph.

    Raises:
        GraphValidationError: a TypeError too.
    """
    if checkpointer is None or isinstance(checkpointer, bool):
        return
    saves = all(callable(getattr(checkpointer, name, None)) for name in ("get_tuple", "list", "put", "put_writes"))
    if not saves or isinstance(checkpointer, type):
        text = (
            "Invalid checkpointer provided. Expected an instance of `BaseCheckpointSaver`, `True`, `False` or `None`, "
            f"got {type(checkpointer).__name__}."
        )
        fix = "Savers that are context managers must be entered first." if hasattr(checkpointer, "__enter__") else ""
        raise refusal(Problem("checkpointer", text, fix), kind=WrongTypeError)


# ------------------------------------------------------------ problems of one declaration


def taken(name: str, first: NodeSpec, place: Place | None) -> Problem:
    """Two nodes of one name."""
    return Problem("node-name", f"Node `{name}` already present, declared at {first.place}.", "Choose another.", place)


def repeated_in_sequence(name: str, place: Place) -> Problem:
    """A sequence with a name that is taken."""
    text = f"Node names must be unique: node with the name '{name}' already exists."
    return Problem("node-name", text, "Give (name, action) pairs to tell them apart.", place)
