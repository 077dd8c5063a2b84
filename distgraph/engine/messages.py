"""Messages in what nodes read and return: for ``stream_mode="messages"``, and so that what is stored of them has ids.

Nothing is imported to recognise one: a message is a dict with content and a role or type, or an object that has these
attributes, as the messages of LangChain do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, TypeVar
from uuid import uuid4

from distgraph.channels.binop import overwrite_of
from distgraph.channels.delta import DeltaChannel
from distgraph.superstep.model import Program
from distgraph.types import Overwrite, Write

_Reducer = TypeVar("_Reducer", bound=Callable[..., Any])
#: Reducers whose updates are messages, in any of the forms in which one may write them.
_OF_MESSAGES: list[Any] = []
_ROLES = frozenset({"user", "human", "assistant", "ai", "tool", "system", "function"})
_TYPES = frozenset({"human", "ai", "tool", "system", "function", "remove"})


def is_message(value: Any) -> bool:
    """Whether ``value`` has the shape of a message."""
    if isinstance(value, dict):
        return "content" in value and ("role" in value or "type" in value)
    return not isinstance(value, type) and all(hasattr(value, name) for name in ("content", "type", "id"))


def message_id(message: Any) -> Any:
    """The id of a message, if it has one."""
    return message.get("id") if isinstance(message, dict) else message.id


def begun_by(piece: Any) -> Any:
    """The id of the message that a ``message-start`` begins, or None; some releases of LangChain name it otherwise."""
    return piece.get("id") or piece.get("message_id")


def is_of_tool(message: Any) -> bool:
    """Whether a message is what a tool answered."""
    return "tool" in ((message.get("role"), message.get("type")) if isinstance(message, dict) else (message.type,))


def messages_in(values: Iterable[Any]) -> Iterator[Any]:
    """The messages among ``values``, and in lists among them."""
    for value in values:
        if is_message(value):
            yield value
        elif isinstance(value, list | tuple):
            yield from filter(is_message, value)


def identify(values: Iterable[Any]) -> None:
    """Give message objects among ``values`` an id, before several processes apply the same update."""
    for message in messages_in(values):
        if _is_object(message) and message.id is None:
            message.id = str(uuid4())


@cache
def langchain_messages() -> Any:
    """The module that knows message objects, or None where it is not installed."""
    try:
        from langchain_core import messages
    except ImportError:
        return None
    return messages


# ---------------------------------------------------------------- ids of messages in DeltaChannels


def takes_messages(reducer: _Reducer) -> _Reducer:
    """Mark a reducer of a ``DeltaChannel`` whose updates are messages and nothing else."""
    _OF_MESSAGES.append(reducer)
    return reducer


def with_message_ids(program: Program, writes: list[Write]) -> list[Write]:
    """``writes`` with ids for the messages that go into DeltaChannels: before anybody stores or reads them.

    ``add_messages`` gives ids itself. The reducer of a DeltaChannel need not, and may be told the same writes again.
    """
    return [(key, _named(program, key, value) if key in program.deltas else value) for key, value in writes]


def _named(program: Program, key: str, value: Any) -> Any:
    rule = program.channels[key]
    sure = isinstance(rule, DeltaChannel) and any(rule.reducer is known for known in _OF_MESSAGES)
    forced, content = overwrite_of(value)
    if not forced:
        return [_identified(item, sure, True) for item in value] if type(value) is list else _identified(value, sure)
    if not isinstance(content, list | tuple):
        return value
    # Who overwrites a channel of other things than messages says what the value is, to the letter.
    return Overwrite(type(content)(_identified(item, sure) if sure or _is_object(item) else item for item in content))


def _identified(item: Any, sure: bool, listed: bool = False) -> Any:
    """A message with an id; whatever else as it is, or, where it is ``sure`` to be a message, as one."""
    if _is_object(item):
        if item.id is None:
            item.id = str(uuid4())
        return item
    said = isinstance(item, dict) and (item.get("role") in _ROLES or item.get("type") in _TYPES)
    if (said and listed) or sure:
        return _as_object(item, strict=said and listed)
    return {**item, "id": str(uuid4())} if said and not item.get("id") else item


def _as_object(item: Any, *, strict: bool) -> Any:
    library = langchain_messages()
    if library is None:
        return {**item, "id": item.get("id") or str(uuid4())} if isinstance(item, dict) else item
    try:
        message = library.convert_to_messages([item])[0]
    except Exception:
        if strict:
            raise
        return item  # the reducer says what is wrong with it
    message.id = message.id or str(uuid4())
    return message


def _is_object(item: Any) -> bool:
    return not isinstance(item, dict) and is_message(item)
