"""A node's exception as it is stored, and as it comes back to whoever waits for the run."""

from __future__ import annotations

import re
import sys
import traceback
from typing import Any

from distgraph import errors
from distgraph.errors import RemoteNodeError
from distgraph.ledger.url import redact as without_passwords

#: Longest text kept of a message, and of a traceback, in characters.
LIMIT = 4096
#: So much of what is cut away is looked at: what shows that the rest is a credential may stand there.
_MARGIN = 256
_VALUE = r"[^\s'\",;}&]+"
_NAMES = r"password|passwd|secret|token|api[_-]?key"
#: Addresses of servers come before. Nothing here may take longer than the text is long: it comes from anywhere.
_SECRETS = [
    re.compile(rf"(?i)(authorization\W{{1,4}}(?:(?:bearer|basic)\W{{1,4}})?){_VALUE}"),
    re.compile(rf"(?i)((?:{_NAMES})\w{{0,40}}['\"]?\s{{0,4}}[:=]\s{{0,4}}['\"]?){_VALUE}"),
    re.compile(rf"(?i)(\b(?:bearer|{_NAMES})\s{{1,4}}['\"]?){_VALUE}"),
    re.compile(r"(\b(?:sk-|AKIA|ghp_))[A-Za-z0-9_\-]{8,}"),
]
#: Parts of words of which one stands in whatever these find: texts without are not searched, which takes 20 times as long.
_MARKS = ("auth", "pass", "secret", "token", "api", "bearer", "sk-", "akia", "ghp_")
_PLAIN = (str, int, float, bool, bytes, type(None))


def redact(text: str, *, last: bool = False) -> str:
    """``text`` without what looks like a credential, cut to ``LIMIT`` characters: its first, or its last ones."""
    long = len(text) > LIMIT
    if long:
        text = text[-LIMIT - _MARGIN :] if last else text[: LIMIT + _MARGIN]
    text = without_passwords(text)
    if _may_have_secrets(text):
        for pattern in _SECRETS:
            text = pattern.sub(r"\1***", text)
    if long:
        text = text[_MARGIN:] if last else text[:-_MARGIN]
    if len(text) <= LIMIT and not long:
        return text
    kept = LIMIT - 20
    return f"(shortened) ... {text[-kept:]}" if last else f"{text[:kept]} ... (shortened)"


def _may_have_secrets(text: str) -> bool:
    if not text.isascii():
        # Letters of other alphabets count as some of ours where case does not matter.
        return True
    lower = text.lower()
    return any(mark in lower for mark in _MARKS)


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
        "traceback": redact("".join(traceback.format_exception(exc, limit=-8)), last=True),
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
