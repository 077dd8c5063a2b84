"""Values to bytes and back.

Plain values go through msgpack in C and never meet Python code. What msgpack does not know goes through one hook: the
built-in kinds of ``kinds.py`` and the types of a ``TypeRegistry``, each a numbered extension whose content is msgpack
again. There is no second format to fall back to: what cannot be stored exactly is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NoReturn

from msgpack import ExtType, Packer, unpackb

from distgraph.errors import (
    CheckpointCorruptError,
    CodecError,
    ConfigError,
    DistgraphError,
    UntrustedTypeError,
)
from distgraph.wire import kinds, walk
from distgraph.wire.envelope import MAX_BYTES, Buffer, as_bytes, open_sealed, seal
from distgraph.wire.registry import TypeRegistry

MAX_DEPTH = 64

#: Every byte that does not begin a list, dict or extension: without these, a payload's length bounds its depth.
_NOT_NESTING = bytes(
    set(range(256))
    - set(range(0x80, 0xA0))  # small dicts and lists
    - set(range(0xDC, 0xE0))  # large ones
    - {0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8}  # extensions
)
#: A value at the deepest level may itself be an extension that holds another one: a datetime its time zone.
_LEAF_LEVELS = 2
#: From this nesting of extensions on, plain nesting is checked before it is packed: see ``_pack``.
_WARY_FROM = 4
#: Bytes. Payloads of more than this are not searched for nesting: see ``_may_be_deep``.
_LARGE = 4096
#: Bytes. msgpack's own 256 KiB come straight from the system when packers nest, which costs 10 us each.
_BUFFER = 64 * 1024


class Codec:
    """Encodes and decodes a closed set of types. Safe to use from any OS thread.

    Attributes:
        registry: the types beyond the built-in kinds.
        max_bytes: the largest packed value, in bytes, before compression.
        max_depth: how deep containers may nest.
    """

    __slots__ = ("_by_id", "_by_type", "_secret", "max_bytes", "max_depth", "registry")

    def __init__(
        self,
        registry: TypeRegistry | None = None,
        *,
        secret: bytes | None = None,
        max_bytes: int = MAX_BYTES,
        max_depth: int = MAX_DEPTH,
    ) -> None:
        """Make a codec.

        Args:
            registry: the types beyond the built-in kinds; may still grow.
            secret: signs what is written, and refuses what is not signed with it.
            max_bytes: the largest packed value, in bytes, before compression.
            max_depth: how deep containers may nest.

        Raises:
            ConfigError: the secret is empty.
        """
        if secret is not None and not secret:
            raise ConfigError("The codec's secret is empty. Leave it out, or set DISTGRAPH_SECRET to random text.")
        self.registry = registry or TypeRegistry()
        self.max_bytes = max_bytes
        self.max_depth = max_depth
        self._secret = secret
        self._by_type = self.registry.by_type
        self._by_id = self.registry.by_id

    def with_types(self, registry: TypeRegistry) -> Codec:
        """The same codec for another set of types."""
        return Codec(registry, secret=self._secret, max_bytes=self.max_bytes, max_depth=self.max_depth)

    def encode(self, value: Any, *, context: bytes = b"") -> bytes:
        """``value`` in an envelope.

        Args:
            value: anything made of the known types.
            context: where the bytes will belong; ``decode`` needs the same one. See ``seal``.

        Raises:
            CodecError: something in ``value`` cannot be stored; the text names the path to it, its type, what to do.
        """
        return self.seal(self.pack(value), context=context)

    def seal(self, packed: bytes, *, context: bytes = b"") -> bytes:
        """What ``encode`` makes of a value that is packed already, or put together of packed parts.

        Raises:
            CodecError: it is beyond the limit.
        """
        if len(packed) > self.max_bytes:
            raise _too_large(len(packed), self.max_bytes)
        return seal(packed, secret=self._secret, context=context)

    def encode_around(self, before: list[Any], blobs: Mapping[str, bytes], after: list[Any]) -> bytes:
        """``encode([*before, blobs, *after])``, for bytes that are known to be bytes: they are not looked at one by one."""
        first, last = (self.pack(fields)[len(array_header(len(fields))) :] for fields in (before, after))
        packed = Packer(buf_size=_BUFFER).pack(blobs)
        return self.seal(b"".join((array_header(len(before) + 1 + len(after)), first, packed, last)))

    def decode(self, data: Buffer, *, context: bytes = b"") -> Any:
        """The value in an envelope: equal to what was encoded, type for type.

        Raises:
            CheckpointCorruptError: ``data`` is damaged, or no envelope at all.
            TamperedDataError: the signature is missing or wrong.
            NewerFormatError: a newer distgraph wrote it.
            UntrustedTypeError: it holds a type that is not registered here.
            CodecError: it is beyond this codec's limits, or does not fit a type's present definition.
        """
        return self.unpack(open_sealed(data, secret=self._secret, context=context, max_bytes=self.max_bytes))

    def pack(self, value: Any, *, inside: int = 0) -> bytes:
        """``value`` without an envelope: for parts that travel in one envelope together.

        Args:
            value: as ``encode``.
            inside: the containers that will be around it there; they count as levels.

        Raises:
            CodecError: as ``encode``.
        """
        try:
            packed = self._pack(value, 0, self.max_depth - inside)
        except Exception as error:
            self._refuse(value, error, self.max_depth - inside)
        if len(packed) > self.max_bytes:
            raise _too_large(len(packed), self.max_bytes)
        return packed

    def unpack(self, data: Buffer) -> Any:
        """The value that ``pack`` was given.

        Raises:
            CheckpointCorruptError: ``data`` is not what ``pack`` returns.
            UntrustedTypeError: it holds a type that is not registered here.
            CodecError: it is beyond this codec's limits, or does not fit a type's present definition.
        """
        payload = data if type(data) is bytes else as_bytes(data)
        if len(payload) > self.max_bytes:
            raise CodecError(f"Stored value has {len(payload)} bytes; the limit here is {self.max_bytes} (max_bytes).")
        foreign: list[int] = []
        try:
            value = unpackb(payload, ext_hook=partial(self._make_first, foreign), strict_map_key=False)
        except DistgraphError:
            raise
        except Exception as error:
            raise CheckpointCorruptError(
                f"Stored value is damaged: its content cannot be read ({type(error).__name__}: {error})."
            ) from error
        if _may_be_deep(payload, self.max_depth):
            shapes = self._by_type
            if not (
                walk.is_within(value, self.max_depth, shapes) if foreign else walk.is_shallow(value, self.max_depth)
            ):
                raise _too_deep(self.max_depth)
        return value

    def _pack(self, value: Any, level: int, depth: int) -> bytes:
        """Pack ``value``, which stands ``level`` extensions deep and may nest up to ``depth``.

        Any exception means that it is refused.
        """
        # The packer recurses on the C stack, up to 511 lists deep in each extension: times 64 that is a crash.
        if level >= _WARY_FROM and not walk.is_within(value, depth, {}):
            raise _too_deep(depth)
        #: What the packer did not know by itself.
        foreign: list[Any] = []
        take = partial(self._take_at, level, depth) if level else partial(self._take_first, foreign, depth)
        # A packer for each call: as fast as a shared one, which no two OS threads could use at once.
        packed: bytes = Packer(default=take, strict_types=True, buf_size=_BUFFER).pack(value)
        # Only a payload with enough nesting marks can be too deep, only one with the marks of bytes can hold what
        # msgpack mistakes for bytes. Both are rare in small values, and seen at C speed.
        deep = level == 0 and _may_be_deep(packed, depth)
        if deep and not foreign:
            deep = False
            if not walk.is_shallow(value, depth):
                raise _too_deep(depth)
        if deep or 0xC4 in packed or 0xC5 in packed or 0xC6 in packed:
            types, levels = walk.survey(value)
            plain = levels <= depth and walk.is_plain(types, self._by_type)
            if deep and not plain and not walk.is_within(value, depth, self._by_type):
                raise _too_deep(depth)
            if walk.has_buffers(types):
                packed = Packer(default=take, strict_types=True, buf_size=_BUFFER).pack(walk.wrap_buffers(value))
        return packed

    def _take_first(self, foreign: list[Any], depth: int, value: Any) -> ExtType:
        """``_take_at`` for the outermost value, noted in ``foreign``."""
        foreign.append(value)
        return self._take_at(0, depth, value)

    def _take_at(self, level: int, depth: int, value: Any) -> ExtType | str:
        """The extension for a value that msgpack does not know."""
        if level >= depth + _LEAF_LEVELS:
            raise _too_deep(depth)
        cls = type(value)
        shape = self._by_type.get(cls)
        if shape is not None:
            return _extension(kinds.REGISTERED, shape.prefix + self._pack(shape.take(value), level + 1, depth))
        if cls.__name__ in kinds.TEXTS and isinstance(value, str):
            return str(value)
        kind = kinds.kind_of(cls)  # KeyError: not storable
        if cls in kinds.UNORDERED:
            parts = sorted(self._pack(part, level + 1, depth) for part in value)
            header: bytes = Packer().pack_array_header(len(parts))
            return _extension(kind.code, header + b"".join(parts))
        return _extension(kind.code, self._pack(kind.take(value), level + 1, depth))

    def _make_first(self, foreign: list[int], code: int, data: bytes) -> Any:
        """``_make_at`` for the outermost value, noted in ``foreign``."""
        foreign.append(code)
        return self._make_at(0, code, data)

    def _make_at(self, level: int, code: int, data: bytes) -> Any:
        """The value of an extension."""
        if level >= self.max_depth + _LEAF_LEVELS:
            raise _too_deep(self.max_depth)
        inner = partial(self._make_at, level + 1)
        if code == kinds.REGISTERED:
            return self._make_registered(data, inner)
        kind = kinds.BY_CODE.get(code)
        if kind is None:
            raise UntrustedTypeError(
                f"Stored value holds the unknown kind {code}: this distgraph cannot know what it means. It was "
                "written by a newer distgraph, or by something else."
            )
        return kind.make(unpackb(data, ext_hook=inner, strict_map_key=False))

    def _make_registered(self, data: bytes, inner: Any) -> Any:
        end = 2 + int.from_bytes(data[:2], "big")
        shape = self._by_id.get(data[2:end])
        if shape is None:
            name = data[2:end].decode("utf-8", "replace")
            raise UntrustedTypeError(
                f"Stored value holds the type {name!r}, which is not registered here; nothing was imported or called. "
                "Name the type in the graph's state schema; if it was renamed, register it under its former name: "
                "TypeRegistry.add(cls, name=...)."
            )
        stored = unpackb(data[end:], ext_hook=inner, strict_map_key=False)
        try:
            return shape.make(stored)
        except DistgraphError:
            raise
        except Exception as error:
            raise CodecError(
                f"Stored {shape.name} cannot be put together: {type(error).__name__}: {error}. Its definition has "
                "changed, or its adapter is wrong."
            ) from error

    def _refuse(self, value: Any, error: Exception, depth: int) -> NoReturn:
        """Say what in ``value`` cannot be stored.

        Raises:
            CodecError: always.
        """
        problem = walk.find_problem(value, self._by_type, depth)
        if problem is not None:
            raise CodecError(f"Cannot store {problem.path}: {problem.why}.") from error
        raise CodecError(
            f"Cannot store the value: {type(error).__name__}: {error}. Was it changed by another OS thread meanwhile?"
        ) from error


def array_header(items: int) -> bytes:
    """How a packed list of so many items begins; behind it come the packed items."""
    if items < 16:
        return bytes((0x90 | items,))
    return b"\xdc" + items.to_bytes(2, "big") if items < 65536 else b"\xdd" + items.to_bytes(4, "big")


def _may_be_deep(packed: bytes, limit: int) -> bool:
    """Whether a payload has room for more levels than allowed: each takes at least one byte of its own.

    A large one always has: to count would take as long as to look.
    """
    size = len(packed)
    return size > limit and (size > _LARGE or len(packed.translate(None, _NOT_NESTING)) > limit)


def _extension(code: int, data: bytes) -> ExtType:
    # Past ExtType's own checks, which cost more than the rest of the hook.
    return tuple.__new__(ExtType, (code, data))


def _too_large(size: int, limit: int) -> CodecError:
    return CodecError(
        f"Cannot store the value: it takes {size} bytes packed, the limit is {limit} (max_bytes). Keep large data in a file "
        "or object store and put a reference into the state."
    )


def _too_deep(limit: int) -> CodecError:
    return CodecError(f"Value is nested deeper than {limit} levels (max_depth). Store a flatter value.")
