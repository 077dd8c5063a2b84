"""The closed set of built-in kinds that msgpack itself does not know, each with its number on the wire.

``take`` turns a value into what is stored instead, ``make`` turns that back. Both ends may hold further kinds. A
number, once released, keeps its meaning for ever; a new kind gets a new number.

Kinds are found by exact type: a subclass is another type, and is refused rather than changed into its base.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from re import DEBUG, Pattern
from re import compile as regex
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from distgraph.errors import CodecError
from distgraph.wire.arrays import is_array, is_scalar, make_array, make_scalar, take_array, take_scalar

#: Bits. An int beyond this is not data but a mistake (or an attack on whoever prints it).
MAX_INT_BITS = 4096
#: ZoneInfo reads a file, or a resource of the tzdata package, named by its key: only the form that real keys have.
ZONE_KEY = regex(r"[A-Za-z0-9_+\-]{1,64}(/[A-Za-z0-9_+\-]{1,64}){0,3}")


class Kind(NamedTuple):
    """One built-in kind: its number, its type, and the way there and back."""

    code: int
    type: type
    take: Callable[[Any], Any]
    make: Callable[[Any], Any]


def fits(value: int) -> bool:
    """Whether an int is small enough to be stored."""
    return value.bit_length() <= MAX_INT_BITS


def _take_int(value: int) -> bytes:
    if not fits(value):
        raise ValueError(f"more than {MAX_INT_BITS} bits")
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _make_int(data: bytes) -> int:
    if len(data) > MAX_INT_BITS // 8 + 1:
        raise ValueError(f"more than {MAX_INT_BITS} bits")
    return int.from_bytes(data, "big", signed=True)


def _take_zone(zone: tzinfo | None) -> Any:
    # UTC is what most timestamps carry: 0 instead of a nested value.
    return 0 if zone is UTC else plain_zone(zone)


def plain_zone(zone: tzinfo | None) -> tzinfo | None:
    """Pydantic parses timestamps into a fixed-offset class of its own; it equals the ``timezone`` stored for it."""
    kind = type(zone)
    if zone is not None and kind.__name__ == "TzInfo" and kind.__module__.startswith("pydantic_core"):
        offset = zone.utcoffset(None)
        return None if offset is None else timezone(offset)
    return zone


def _make_zone(stored: Any) -> tzinfo | None:
    return UTC if stored == 0 else stored


def _take_datetime(value: datetime) -> list[Any]:
    return [
        *(value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond),
        *(value.fold, _take_zone(value.tzinfo)),
    ]


def _make_datetime(parts: list[Any]) -> datetime:
    year, month, day, hour, minute, second, microsecond, fold, zone = parts
    return datetime(year, month, day, hour, minute, second, microsecond, _make_zone(zone), fold=fold)


def _take_time(value: time) -> list[Any]:
    return [value.hour, value.minute, value.second, value.microsecond, value.fold, _take_zone(value.tzinfo)]


def _make_time(parts: list[Any]) -> time:
    hour, minute, second, microsecond, fold, zone = parts
    return time(hour, minute, second, microsecond, _make_zone(zone), fold=fold)


def _take_timedelta(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _take_timezone(value: timezone) -> list[Any]:
    offset, name = value.utcoffset(None), value.tzname(None)
    return [*_take_timedelta(offset), None if name == timezone(offset).tzname(None) else name]


def _make_timezone(parts: list[Any]) -> timezone:
    days, seconds, microseconds, name = parts
    offset = timedelta(days, seconds, microseconds)
    return timezone(offset) if name is None else timezone(offset, name)


def _take_zoneinfo(value: ZoneInfo) -> str:
    if not is_named_zone(value):
        raise ValueError("a ZoneInfo without a key of the usual form")
    return value.key


def _make_zoneinfo(key: str) -> ZoneInfo:
    if not ZONE_KEY.fullmatch(key):
        raise ValueError("not a time zone key")
    try:
        return ZoneInfo(key)
    except ZoneInfoNotFoundError:
        raise CodecError(
            f"Time zone {key!r} of a stored value is unknown on this machine. Install the tzdata package or the "
            "system's time zone database."
        ) from None


def is_named_zone(value: ZoneInfo) -> bool:
    """Whether a time zone can be found again by its key."""
    return isinstance(value.key, str) and ZONE_KEY.fullmatch(value.key) is not None


def _take_complex(value: complex) -> list[float]:
    return [value.real, value.imag]


def _take_deque(value: deque[Any]) -> list[Any]:
    return [value.maxlen, *value]


def _make_deque(parts: list[Any]) -> deque[Any]:
    maxlen, *items = parts
    if maxlen is not None and len(items) > maxlen:
        raise ValueError("a deque longer than its maxlen")
    return deque(items, maxlen)


def _take_items(value: dict[Any, Any]) -> list[Any]:
    return [part for item in value.items() for part in item]


def _make_ordered(parts: list[Any]) -> OrderedDict[Any, Any]:
    return OrderedDict(zip(parts[::2], parts[1::2], strict=True))


def _make_counter(parts: list[Any]) -> Counter[Any]:
    counts: Counter[Any] = Counter()
    dict.update(counts, zip(parts[::2], parts[1::2], strict=True))
    return counts


def _take_pattern(value: Pattern[Any]) -> list[Any]:
    return [value.pattern, value.flags & ~int(DEBUG)]


def _make_pattern(parts: list[Any]) -> Pattern[Any]:
    pattern, flags = parts
    # With DEBUG, compiling prints.
    return regex(pattern, flags & ~int(DEBUG))


def _take_defaults(value: defaultdict[Any, Any]) -> list[Any]:
    return [FACTORIES[value.default_factory], *_take_items(value)]


def _make_defaults(parts: list[Any]) -> defaultdict[Any, Any]:
    factory, *items = parts
    return defaultdict(_FACTORY_OF[factory], zip(items[::2], items[1::2], strict=True))


#: What makes the values that a defaultdict lacks, of those that can be stored, and the name it has there.
FACTORIES: dict[Any, str | None] = {
    None: None,
    **{factory: factory.__name__ for factory in (list, dict, set, tuple, str, bytes, int, float, bool)},
}
_FACTORY_OF = {name: factory for factory, name in FACTORIES.items()}

KINDS = (
    Kind(1, tuple, list, tuple),
    Kind(2, set, list, set),
    Kind(3, frozenset, list, frozenset),
    Kind(4, deque, _take_deque, _make_deque),
    Kind(5, int, _take_int, _make_int),
    Kind(6, bytearray, bytes, bytearray),
    Kind(7, complex, _take_complex, lambda parts: complex(*parts)),
    Kind(8, Decimal, str, Decimal),
    Kind(9, UUID, lambda value: value.bytes, lambda data: UUID(bytes=data)),
    Kind(10, datetime, _take_datetime, _make_datetime),
    Kind(11, date, date.toordinal, date.fromordinal),
    Kind(12, time, _take_time, _make_time),
    Kind(13, timedelta, _take_timedelta, lambda parts: timedelta(*parts)),
    Kind(14, timezone, _take_timezone, _make_timezone),
    Kind(15, ZoneInfo, _take_zoneinfo, _make_zoneinfo),
    Kind(16, OrderedDict, _take_items, _make_ordered),
    Kind(17, Counter, _take_items, _make_counter),
    # A path of this machine's: with its slashes every machine reads it as one of its own.
    Kind(18, type(Path()), PurePath.as_posix, Path),
    Kind(19, PurePosixPath, str, PurePosixPath),
    Kind(20, PureWindowsPath, str, PureWindowsPath),
    Kind(21, Pattern, _take_pattern, _make_pattern),
    *(
        Kind(22 + number, cls, str, cls)
        for number, cls in enumerate((IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network))
    ),
    Kind(28, defaultdict, _take_defaults, _make_defaults),
)
#: Of a library that is not loaded here unless somebody uses it.
_ARRAY = Kind(29, object, take_array, make_array)
_SCALAR = Kind(30, object, take_scalar, make_scalar)

BY_TYPE = {kind.type: kind for kind in KINDS}
BY_CODE = {kind.code: kind for kind in (*KINDS, _ARRAY, _SCALAR)}

BYTEARRAY = BY_TYPE[bytearray].code
#: Their iteration order depends on the process, so their items are stored in the order of their bytes.
UNORDERED = frozenset({set, frozenset})
#: Names of classes of texts that are stored as plain texts: what LangChain's messages give as their ``text``.
TEXTS = frozenset({"TextAccessor"})
#: The number of everything that a TypeRegistry knows.
REGISTERED = 64


def kind_of(cls: type) -> Kind:
    """The kind of values of exactly this class.

    Raises:
        KeyError: they cannot be stored.
    """
    kind = BY_TYPE.get(cls)
    if kind is not None:
        return kind
    if is_array(cls):
        return _ARRAY
    if is_scalar(cls):
        return _SCALAR
    raise KeyError(cls)


def is_kind(cls: type) -> bool:
    """Whether an annotation with this class means values that can be stored: a ``Path`` is of a class of its system."""
    return cls in BY_TYPE or cls in (Path, PurePath) or is_array(cls) or is_scalar(cls)
