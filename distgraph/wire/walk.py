"""Walks over values: the checks that msgpack does not make, and the search for what cannot be stored.

``survey`` and ``is_within`` run while values are stored, so they go level by level in C (``get_referents`` of
all containers of a level at once), about 30 ns a leaf. ``find_problem`` runs only after something was refused; it may
take its time and says where and why.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from gc import get_referents
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from re import Pattern
from types import NoneType
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from msgpack import ExtType, packb

from distgraph.wire.arrays import is_array, is_scalar, why_not
from distgraph.wire.kinds import BYTEARRAY, FACTORIES, MAX_INT_BITS, fits, is_named_zone, plain_zone
from distgraph.wire.shapes import Shape

Shapes: TypeAlias = Mapping[type, Shape]

_NATIVE_CONTAINERS = frozenset({dict, list})
_MAPPINGS = frozenset({dict, OrderedDict, Counter, defaultdict})
_SEQUENCES = frozenset({list, tuple, deque})
_SETS = frozenset({set, frozenset})
_CONTAINERS = _MAPPINGS | _SEQUENCES | _SETS
#: Containers that refer to their items and to nothing else; the others may have an instance dict too.
_BARE = _NATIVE_CONTAINERS | _SETS | {tuple, deque}
#: How deep msgpack packs lists and dicts at most.
_PACKED_LEVELS = 512
#: What msgpack takes for bytes although it comes back as something else.
_BUFFERS = frozenset({bytearray, memoryview})
#: Every value of these types can be stored.
_SIMPLE = frozenset(
    {
        *(NoneType, bool, float, bytes, bytearray, complex, Decimal, UUID, date, timedelta, timezone),
        *(IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network),
    }
)
_PATHS = frozenset({type(Path()), PurePosixPath, PureWindowsPath})


def survey(value: Any) -> tuple[set[type], int]:
    """The types that stand in the lists and dicts of ``value``, and how deep these nest; other containers are closed.

    For values that msgpack has packed already, so there is an end.
    """
    types = {type(value)}
    level = [value] if type(value) in _NATIVE_CONTAINERS else []
    levels = 0
    while level and levels < _PACKED_LEVELS:
        levels += 1
        inside = get_referents(*level)
        here = set(map(type, inside))
        types |= here
        if here.isdisjoint(_NATIVE_CONTAINERS):
            break
        level = [part for part in inside if type(part) in _NATIVE_CONTAINERS]
    return types, levels


def is_shallow(value: Any, depth: int) -> bool:
    """Whether lists and dicts nest at most ``depth`` deep in ``value``, where nothing else nests.

    What does not nest refers to nothing, so no level needs to be sorted out before the next one is looked up.
    """
    level = [value]
    for _ in range(depth):
        level = get_referents(*level)
        if not level:
            return True
    return _NATIVE_CONTAINERS.isdisjoint(map(type, level))


def is_plain(types: Set[type], shapes: Shapes) -> bool:
    """Whether none of ``types`` nests, but for lists and dicts."""
    return types.isdisjoint(_CONTAINERS - _NATIVE_CONTAINERS) and types.isdisjoint(shapes)


def has_buffers(types: Set[type]) -> bool:
    """Whether one of ``types`` is what msgpack takes for bytes although it is something else."""
    return not types.isdisjoint(_BUFFERS)


def wrap_buffers(value: Any) -> Any:
    """A copy of ``value`` whose bytearrays are marked as such.

    Raises:
        TypeError: there is a memoryview.
    """
    kind = type(value)
    if kind is list:
        return [wrap_buffers(part) for part in value]
    if kind is dict:
        return {wrap_buffers(key): wrap_buffers(part) for key, part in value.items()}
    if kind is bytearray:
        return ExtType(BYTEARRAY, packb(bytes(value)))
    if kind is memoryview:
        raise TypeError("memoryview")
    return value


def is_within(value: Any, depth: int, shapes: Shapes) -> bool:
    """Whether containers nest at most ``depth`` deep in ``value``; an instance of a registered type is one."""
    nested = _CONTAINERS | shapes.keys()
    level = _opened([value], nested, shapes)
    for _ in range(depth):
        if not level:
            return True
        inside = get_referents(*level)
        if nested.isdisjoint(map(type, inside)):
            return True
        level = _opened(inside, nested, shapes)
    return not level


def _opened(values: Iterable[Any], nested: Set[type], shapes: Shapes) -> list[Any]:
    """The containers among ``values``, each once: shared ones would multiply with every level."""
    found = {id(value): value for value in values if type(value) in nested}
    return [value if type(value) in _BARE else [part for _, part in _parts(value, shapes)] for value in found.values()]


class Problem(NamedTuple):
    """What cannot be stored: where it stands, and why."""

    path: str
    why: str


def find_problem(value: Any, shapes: Shapes, max_depth: int) -> Problem | None:
    """The first part of ``value`` that cannot be stored, depth first in the order of its items."""
    return _find(value, "$", shapes, max_depth, ())


def _find(value: Any, path: str, shapes: Shapes, room: int, above: tuple[int, ...]) -> Problem | None:
    kind = type(value)
    if kind not in _CONTAINERS and kind not in shapes:
        why = _leaf_problem(value)
        return None if why is None else Problem(path, why)
    if id(value) in above:
        return Problem(path, "it contains itself; stored values are trees. Store an id instead of the object")
    if kind is defaultdict and not _is_known_factory(value.default_factory):
        return Problem(
            path, f"a defaultdict of {value.default_factory!r:.80}, which is no built-in type: use dict(...)"
        )
    if not room:
        return Problem(path, f"it is nested deeper than {len(above)} levels. Store a flatter value")
    try:
        for step, part in _parts(value, shapes):
            problem = _find(part, path + step, shapes, room - 1, (*above, id(value)))
            if problem is not None:
                return problem
    except Exception as error:  # a field that was never set, an adapter that failed
        return Problem(path, f"its parts cannot be read: {type(error).__qualname__}: {error}")
    return None


def _parts(value: Any, shapes: Shapes) -> Iterator[tuple[str, Any]]:
    kind = type(value)
    if kind in _SEQUENCES:
        yield from ((f"[{index}]", part) for index, part in enumerate(value))
    elif kind in _SETS:
        yield from (("{}", part) for part in value)
    elif kind in _MAPPINGS:
        for key, part in value.items():
            step = _step(key)
            yield f"{step} (the key)", key
            yield step, part
    else:
        yield from ((f".{name}" if name else "", part) for name, part in shapes[kind].parts(value).items())


def _step(key: Any) -> str:
    """How a key stands in a path; keys that are objects of the user's are shown by type, they may print anything."""
    if type(key) is str and key.isidentifier():
        return f".{key}" if len(key) <= 60 else f".{key[:60]}..."
    if isinstance(key, (str, int, float, bytes)):
        shown = repr(key)
        return f"[{shown}]" if len(shown) <= 60 else f"[{shown[:60]}...]"
    return f"[<{type(key).__qualname__}>]"


def _leaf_problem(value: Any) -> str | None:
    kind = type(value)
    if kind in _SIMPLE:
        return None
    if kind is str:
        return _text_problem(value)
    if kind is int:
        return None if fits(value) else f"an int of {value.bit_length()} bits; the limit is {MAX_INT_BITS}"
    if kind is datetime or kind is time:
        return _zone_problem(plain_zone(value.tzinfo))
    if kind is ZoneInfo:
        return _zone_problem(value)
    if kind in _PATHS:
        return _text_problem(str(value))
    if kind is Pattern:
        return _text_problem(value.pattern) if isinstance(value.pattern, str) else None
    if is_array(kind) or is_scalar(kind):
        return why_not(value)
    return _foreign(value)


def _is_known_factory(factory: Any) -> bool:
    return any(factory is known for known in FACTORIES)


def _text_problem(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return (
            f"a str with a lone surrogate at index {error.start}, which UTF-8 cannot carry. Repair it where it comes "
            "from, or replace it: text.encode('utf-8', 'replace').decode()"
        )
    return None


def _zone_problem(zone: tzinfo | None) -> str | None:
    if zone is None or type(zone) is timezone:
        return None
    if type(zone) is ZoneInfo:
        if is_named_zone(zone):
            return None
        return "a ZoneInfo without a key of the time zone database. Use ZoneInfo('Area/City')"
    name = f"{type(zone).__module__}.{type(zone).__qualname__}"
    return f"a time zone of type {name}. Use datetime.timezone or zoneinfo.ZoneInfo"


def _foreign(value: Any) -> str:
    kind = type(value)
    return f"type {kind.__module__}.{kind.__qualname__} is not storable. {_advice(kind)}"


def _advice(kind: type) -> str:
    if kind.__module__.partition(".")[0] == "numpy":
        return "Convert it to plain Python data (.item(), .tolist())"
    if issubclass(kind, PurePath):
        return "Use pathlib.Path"
    if kind.__module__ == "collections" and issubclass(kind, dict):
        return "Convert it with dict(...): what makes it special cannot be stored"
    if kind is memoryview:
        return "Convert it with bytes(...)"
    for base in (str, int, float, bytes, bytearray, dict, list, tuple, set, frozenset):
        if issubclass(kind, base):
            return (
                f"It is a subclass of {base.__name__} and would come back as a plain {base.__name__}: convert it, or "
                "register it (an enum or NamedTuple in the graph's state schema, others with TypeRegistry.adapt)"
            )
    return (
        "Register a dataclass, pydantic model, enum or NamedTuple by naming it in the graph's state schema, another "
        "class with TypeRegistry.adapt; let nodes make or import what cannot be data (locks, clients, functions)"
    )
