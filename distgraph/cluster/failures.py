"""A node's exception as it is stored, and as it comes back to whoever waits for the run."""

from __future__ import annotations

import re
import sys
import traceback
from typing import Any

from distgraph import errors
from distgraph.errors import RemoteNodeError

#: Longest text kept of a message, and of a traceback, in characters.
LIMIT = 4096
_SECRETS = [
    (re.compile(r"(\w+://[^:/@\s]*:)[^@\s]+@"), r"\1***@"),
    (
        re.compile(
            r"(?i)\b(authorization|bearer|api[_-]?key|token|password|secret)(['\"]?\s*[:=]\s*|\s+)(['\"]?)[^\s'\",;]+"
        ),
        r"\1\2\3***",
    ),
    (re.compile(r"\b(sk-|AKIA|ghp_)[A-Za-z0-9_\-]{8,}"), r"\1***"),
]
_PLAIN = (str, int, float, bool, bytes, type(None))


def redact(text: str) -> str:
    """``text`` without what looks like a credential, cut to ``LIMIT`` characters."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text if len(text) <= LIMIT else text[: LIMIT - 20] + " ... (shortened)"


def describe(exc: BaseException, *, node: str = "") -> dict[str, Any]:
    """A failure as plain data: what the codec stores and ``failures()`` shows."""
    try:
        message = str(exc)
    except Exception:
        message = f"<{type(exc).__name__} whose text cannot be made>"
    dead = {"reason": exc.reason, "crashes": exc.crashes} if isinstance(exc, errors.PoisonTaskError) else {}
    args = [arg for arg in exc.args if isinstance(arg, _PLAIN)]
    return {
        "type": f"{type(exc).__module__}:{type(exc).__qualname__}",
        "message": redact(message),
        "args": [redact(arg) if isinstance(arg, str) else arg for arg in args] if len(args) == len(exc.args) else None,
        "notes": [redact(str(note)) for note in getattr(exc, "__notes__", ())][:10],
        "traceback": redact("".join(traceback.format_exception(exc, limit=-8)))[-LIMIT:],
        "node": node or (exc.node if isinstance(exc, errors.PoisonTaskError) else ""),
        "kind": "poison" if dead else "error",
        **dead,
        "code": getattr(exc, "code", type(exc).__name__) if isinstance(exc, errors.DistgraphError) else "NODE_FAILED",
    }


def rebuild(record: dict[str, Any]) -> BaseException:
    """The exception of ``record``: its own type where that is loaded here, else ``RemoteNodeError``.

    Nothing is imported, and only a class that takes plain arguments is built: what is stored cannot make code run.
    """
    module, _, name = str(record.get("type", "")).partition(":")
    cls: Any = sys.modules.get(module)
    for part in name.split("."):
        cls = getattr(cls, part, None)
    message = str(record.get("message", ""))
    exc: BaseException | None = None
    if isinstance(cls, type) and issubclass(cls, Exception) and record.get("args") is not None:
        try:
            exc = cls.__new__(cls, *record["args"])
            exc.args = tuple(record["args"])
            if str(exc) != message:
                exc = None
        except Exception:
            exc = None
    if exc is None:
        shown = f"{name or 'Exception'}: {message}"
        exc = RemoteNodeError(shown, type_name=str(record.get("type")), traceback_text=str(record.get("traceback", "")))
    if isinstance(exc, errors.PoisonTaskError):
        exc.reason, exc.crashes = str(record.get("reason", "")), int(record.get("crashes", 0))
        exc.node = str(record.get("node", ""))
    for note in record.get("notes", ()):
        exc.add_note(str(note))
    if record.get("traceback"):
        exc.add_note("On the worker:\n" + str(record["traceback"]))
    return exc
