"""Messages in what nodes read and return, for ``stream_mode="messages"``.

Nothing is imported for it: a message is a dict with content and a role or type, or an object that has these attributes,
as the messages of LangChain do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def is_message(value: Any) -> bool:
    """Whether ``value`` has the shape of a message."""
    if isinstance(value, dict):
        return "content" in value and ("role" in value or "type" in value)
    return not isinstance(value, type) and all(hasattr(value, name) for name in ("content", "type", "id"))


def message_id(message: Any) -> Any:
    """The id of a message, if it has one."""
    return message.get("id") if isinstance(message, dict) else message.id


def messages_in(values: Iterable[Any]) -> Iterator[Any]:
    """The messages among ``values``, and in lists among them."""
    for value in values:
        if is_message(value):
            yield value
        elif isinstance(value, list | tuple):
            yield from filter(is_message, value)
