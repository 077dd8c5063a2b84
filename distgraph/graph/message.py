"""Conversations as state: a reducer that appends messages and replaces those with the same id.

Messages are recognised by shape: an object with ``type``, ``id`` and ``content``, or a dict with ``role`` or ``type``.
Where langchain_core is installed, texts, (role, content) pairs and dicts become its message objects; elsewhere they
become plain dicts with ``role``, ``content`` and ``id``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import Annotated, Any, Literal, TypedDict
from uuid import uuid4

from distgraph.channels.binop import keeps_items
from distgraph.engine.messages import langchain_messages, takes_messages
from distgraph.graph.state import StateGraph
from distgraph.runtime import current_scope
from distgraph.warnings import LangGraphDeprecatedSinceV10

#: Id of a removal that removes everything before it.
REMOVE_ALL_MESSAGES = "__remove_all__"


@keeps_items
def add_messages(
    left: Any = None, right: Any = None, *, format: Literal["langchain-openai"] | None = None
) -> list[Any] | Callable[[Any, Any], list[Any]]:
    """Reducer: ``left`` with the messages of ``right`` appended, or put in place of those with the same id.

    A message of type "remove" removes the one with its id. Messages without an id get one.

    Args:
        left: the messages so far, or one message.
        right: new messages, or one message.
        format: "langchain-openai" turns contents into the form of that API; needs langchain_core.

    Returns:
        The merged list; without messages, the reducer with ``format`` fixed.

    Raises:
        ValueError: a removal names an id that is not there; only one of left and right is given; unknown format.
    """
    if left is None and right is None:
        return partial(_merge_messages, format=format)
    if left is None or right is None:
        given = "left" if right is None else "right"
        raise ValueError(f"Must specify non-null arguments for both 'left' and 'right'. Only received: '{given}'.")
    return _merge_messages(left, right, format=format)


@keeps_items
def _merge_messages(left: Any, right: Any, *, format: str | None = None) -> list[Any]:
    if format not in (None, "", "langchain-openai"):
        raise ValueError(f"Unrecognized format={format!r}. Expected one of 'langchain-openai', None.")
    old, new = with_ids([*map(_anew, left)] if isinstance(left, list) else left), with_ids(right)
    for index in range(len(new) - 1, -1, -1):
        if _is_removal(new[index]) and _id(new[index]) == REMOVE_ALL_MESSAGES:
            return new[index + 1 :]
    merged = _merged(old, new)
    return _formatted(merged) if format else merged


def _merged(old: Sequence[Any], new: Sequence[Any]) -> list[Any]:
    merged = list(old)
    places = {_id(message): place for place, message in enumerate(merged)}
    removed: set[Any] = set()
    for message in new:
        key = _id(message)
        if _is_removal(message):
            if key not in places:
                raise ValueError(f"Attempting to delete a message with an ID that doesn't exist ('{key}').")
            removed.add(key)
        elif key in places:
            merged[places[key]] = message
            removed.discard(key)
        else:
            places[key] = len(merged)
            merged.append(message)
    return [message for message in merged if _id(message) not in removed] if removed else merged


@keeps_items
@takes_messages
def _messages_delta_reducer(state: list[Any], writes: Sequence[Any]) -> list[Any]:
    """Reducer for a ``DeltaChannel``: all messages of a superstep at once, the later one of an id in place of the earlier.

    Simpler than ``add_messages``, so that it may be applied to many supersteps at once: a removal of an unknown id does
    nothing, and REMOVE_ALL_MESSAGES means nothing. Ids are given before: whoever writes to such a channel is seen to.

    Args:
        state: the messages so far.
        writes: each a message or a list of messages.

    Returns:
        The merged list.
    """
    new = _whole([each for write in writes for each in (write if isinstance(write, list) else [write])])
    merged: list[Any] = _whole(state)
    places = {_id(message): place for place, message in enumerate(merged) if _id(message) is not None}
    for message in new:
        key = _id(message)
        if _is_removal(message):
            if key in places:
                merged[places.pop(key)] = None
        elif key in places:
            merged[places[key]] = message
        else:
            if key is not None:
                places[key] = len(merged)
            merged.append(message)
    return [message for message in merged if message is not None]


def with_ids(messages: Any) -> list[Any]:
    """One message or a list of them as a list of whole messages, each with an id."""
    return [_identified(message) for message in _whole(messages if isinstance(messages, list) else [messages])]


def _whole(messages: list[Any]) -> list[Any]:
    return list(messages) if all(map(_is_whole, messages)) else _coerced(messages)


def _anew(message: Any) -> Any:
    """A message that is to get an id, as another object: what is in a state already may be stored without one."""
    return copy(message) if _is_whole(message) and message.id is None else message


def name_messages(update: Any) -> None:
    """Give the message objects in an update their ids, before it is stored: all its readers shall see the same ids."""
    for message in update if isinstance(update, list) else [update]:
        if _is_whole(message) and message.id is None:
            message.id = str(uuid4())


def push_message(message: Any, *, state_key: str | None = "messages") -> Any:
    """Send a message to readers of ``stream_mode="messages"`` now, from within a node.

    Args:
        message: with an id: a message object, or a dict.
        state_key: where the message is written too, before what the node returns; None: nowhere.

    Returns:
        The message; a message object where langchain_core is installed.

    Raises:
        ValueError: the message has no id, so that nobody could tell later that it is the same.
        InvalidUpdateError: the graph has no such key.
        RuntimeError: no node runs here.
    """
    scope = current_scope()
    library = langchain_messages()
    if library is not None:
        whole = library.convert_to_messages([message])[0]
    else:
        whole = message if _is_whole(message) else _plain(message)
    if _id(whole) is None:
        raise ValueError("Message ID is required: push_message takes a message with an id, and this one has none.")
    if state_key:
        scope.send(state_key, whole)
    scope.show(whole)
    return whole


def _identified(message: Any) -> Any:
    if _id(message) is not None:
        return message
    if isinstance(message, dict):
        return {**message, "id": str(uuid4())}
    message.id = str(uuid4())
    return message


def _id(message: Any) -> Any:
    return message.get("id") if isinstance(message, dict) else message.id


def _type(message: Any) -> Any:
    return message.get("type") or message.get("role") if isinstance(message, dict) else message.type


def _is_removal(message: Any) -> bool:
    return bool(_type(message) == "remove")


def _is_whole(message: Any) -> bool:
    """Whether it is a message object, and not a part of one that is still being streamed."""
    return (
        not isinstance(message, dict | str | tuple)
        and hasattr(message, "content")
        and hasattr(message, "id")
        and hasattr(message, "type")
        and not type(message).__name__.endswith("Chunk")
    )


#: Classes of message objects, by name: nothing is imported before somebody needs it.
#: Pieces of them too: models' answers travel piece by piece to who reads along.
_KINDS = tuple(
    f"{kind}Message{piece}"
    for kind in ("AI", "Chat", "Function", "Human", "Remove", "System", "Tool")
    for piece in ("", "Chunk")
)


def message_types() -> tuple[type, ...]:
    """The classes of message objects; none where langchain_core is not installed."""
    library = langchain_messages()
    return () if library is None else tuple(getattr(library, name) for name in _KINDS if hasattr(library, name))


def _coerced(messages: Sequence[Any]) -> list[Any]:
    library = langchain_messages()
    if library is None:
        return [message if _is_whole(message) else _plain(message) for message in messages]
    return [library.message_chunk_to_message(message) for message in library.convert_to_messages(messages)]


def _plain(message: Any) -> dict[str, Any]:
    if isinstance(message, str):
        return {"role": "user", "content": message}
    if isinstance(message, tuple | list) and len(message) == 2:
        return {"role": message[0], "content": message[1]}
    if isinstance(message, dict) and ("role" in message or "type" in message):
        return message
    raise ValueError(
        f"Not a message: {message!r:.200}. Give a text, a (role, content) pair, a dict or a message object."
    )


def _formatted(messages: list[Any]) -> list[Any]:
    library = langchain_messages()
    if library is None:
        raise ValueError("format='langchain-openai' needs langchain_core, which is not installed.")
    return list(library.convert_to_messages(library.convert_to_openai_messages(messages)))


class MessagesState(TypedDict):
    """A state with one key, ``messages``; extend it with your own."""

    messages: Annotated[list[Any], add_messages]


class MessageGraph(StateGraph[Any]):
    """A graph whose whole state is a list of messages. Deprecated: give a ``StateGraph`` a key ``messages``."""

    def __init__(self) -> None:
        warnings.warn(
            "MessageGraph is deprecated: use StateGraph with a state that has a `messages` key, such as MessagesState.",
            LangGraphDeprecatedSinceV10,
            stacklevel=2,
        )
        super().__init__(Annotated[list[Any], add_messages])
