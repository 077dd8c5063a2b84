"""What may have been meant by a name that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def closest(name: object, known: Iterable[str]) -> str | None:
    """The known name that is close to ``name``, if there is one."""
    return next(iter(get_close_matches(str(name), sorted(known), n=1)), None)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` where a known name is close, else the known names."""
    names = sorted(n for n in known if not n.startswith("__"))
    close = closest(name, names)
    if close is not None:
        return f" Did you mean {close!r}?"
    return f" Known: {', '.join(map(repr, names[:12]))}{', ...' if len(names) > 12 else ''}."
