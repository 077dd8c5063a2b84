"""Parts of a user interface as state: messages that name a component and its properties.

A node sends them with ``push_ui_message``: whoever reads ``stream_mode="custom"`` has them at once, and the state keeps
them under a key with the reducer ``ui_message_reducer``.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypedDict
from uuid import uuid4

from distgraph.runtime import current_scope


class UIMessage(TypedDict):
    """A component that is shown."""

    type: Literal["ui"]
    id: str
    #: The component's.
    name: str
    props: dict[str, Any]
    metadata: dict[str, Any]


class RemoveUIMessage(TypedDict):
    """A component that is no longer shown."""

    type: Literal["remove-ui"]
    id: str


AnyUIMessage: TypeAlias = UIMessage | RemoveUIMessage


def push_ui_message(
    name: str,
    props: dict[str, Any],
    *,
    id: str | None = None,
    metadata: dict[str, Any] | None = None,
    message: Any = None,
    state_key: str | None = "ui",
    merge: bool = False,
) -> UIMessage:
    """Show a component, from within a node.

    Args:
        name: the component's.
        props: its properties.
        id: of what is shown; the same id again changes it. None: a new one.
        metadata: kept with it.
        message: the message it belongs to; its id is kept in the metadata.
        state_key: key of the state that keeps it; None: it is sent only.
        merge: with the id of a component that is shown: change these properties, and keep its others.

    Returns:
        What was sent.

    Raises:
        InvalidUpdateError: the graph has no key ``state_key``.
        RuntimeError: no node runs here.
    """
    config = current_scope().config
    found = {"merge": merge, "run_id": config.get("run_id"), "tags": config.get("tags"), "name": config.get("run_name")}
    found.update(metadata or {})
    belongs = message.get("id") if isinstance(message, dict) else getattr(message, "id", None)
    if belongs:
        found["message_id"] = belongs
    shown: UIMessage = {"type": "ui", "id": id or str(uuid4()), "name": name, "props": props, "metadata": found}
    _send(shown, state_key)
    return shown


def delete_ui_message(id: str, *, state_key: str = "ui") -> RemoveUIMessage:
    """Remove a component, from within a node.

    Raises:
        InvalidUpdateError: the graph has no key ``state_key``.
        RuntimeError: no node runs here.
    """
    gone: RemoveUIMessage = {"type": "remove-ui", "id": id}
    _send(gone, state_key)
    return gone


def _send(event: AnyUIMessage, state_key: str | None) -> None:
    scope = current_scope()
    if state_key:
        scope.send(state_key, event)
    scope.runtime.stream_writer(event)


def ui_message_reducer(
    left: list[AnyUIMessage] | AnyUIMessage, right: list[AnyUIMessage] | AnyUIMessage
) -> list[AnyUIMessage]:
    """Reducer: ``left`` with the components of ``right`` added, changed where the id is known, or removed.

    Raises:
        ValueError: a removal names an id that is not there.
    """
    shown = {each["id"]: each for each in _listed(left)}
    gone: set[str] = set()
    for each in _listed(right):
        known = shown.get(each["id"])
        if each["type"] == "remove-ui":
            if known is None:
                raise ValueError(f"Attempting to delete an UI message with an ID that doesn't exist ('{each['id']}').")
            gone.add(each["id"])
        else:
            shown[each["id"]] = _merged(known, each)
            gone.discard(each["id"])
    return [each for key, each in shown.items() if key not in gone]


def _listed(messages: list[AnyUIMessage] | AnyUIMessage) -> list[AnyUIMessage]:
    return messages if isinstance(messages, list) else [messages]


def _merged(known: AnyUIMessage | None, new: UIMessage) -> UIMessage:
    if known is None or known["type"] == "remove-ui" or not new.get("metadata", {}).get("merge"):
        return new
    return {**new, "props": {**known["props"], **new["props"]}}
