"""How large what is stored may be. What is larger is refused by name, before anything of it is stored.

A value that large would hold up the server, and with it everybody else, for as long as it travels. Keep files and other
large things elsewhere, and their names in the state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from distgraph.checkpoint.lines import Raw
from distgraph.errors import StateTooLargeError

MIB = 1 << 20
#: One channel's value, as stored. Bytes.
VALUE = 8 * MIB
#: All that one task wants to change, and a run's or an item's input, as stored. Bytes.
WRITES = 16 * MIB
#: All values of a run's state, as stored. Bytes.
STATE = 64 * MIB


def check_state(changed: Iterable[str], raw: Raw) -> None:
    """Refuse a state that is too large.

    Args:
        changed: the channels that changed.
        raw: all values as stored, in pieces.

    Raises:
        StateTooLargeError: a value, or all of them together.
    """
    sizes = {channel: sum([len(piece.data) for piece in pieces]) for channel, pieces in raw.items()}
    for channel in changed:
        if sizes.get(channel, 0) > VALUE:
            raise StateTooLargeError(
                f"The value of key {channel!r} takes {_mib(sizes[channel])}; a value may take {_mib(VALUE)} at most. Keep "
                "large things elsewhere and their names in the state."
            )
    whole = sum(sizes.values())
    if whole > STATE:
        raise StateTooLargeError(
            f"The state takes {_mib(whole)}; it may take {_mib(STATE)} at most. The largest: {_largest([*sizes.items()])}."
        )


def writes_too_large(data: bytes, sizes: Sequence[tuple[str, int]]) -> StateTooLargeError:
    """Why ``data``, all that a task wrote, is refused; ``sizes`` are channel and size of each of its writes."""
    return StateTooLargeError(
        f"What a node returned takes {_mib(len(data))}; one task may write {_mib(WRITES)} at most. The largest: "
        f"{_largest(sizes)}. Keep large things elsewhere and their names in the state."
    )


def check_input(what: str, data: bytes) -> bytes:
    """``data``, if it is not too large for an input.

    Raises:
        StateTooLargeError: it is.
    """
    if len(data) > WRITES:
        raise StateTooLargeError(
            f"{what} takes {_mib(len(data))}; an input may take {_mib(WRITES)} at most. Keep large things elsewhere and "
            "submit their names."
        )
    return data


def _largest(sizes: Sequence[tuple[str, int]]) -> str:
    first = sorted(sizes, key=lambda named: -named[1])[:3]
    return ", ".join(f"key {channel!r} with {_mib(size)}" for channel, size in first)


def _mib(size: int) -> str:
    return f"{size / MIB:.2f} MiB"
