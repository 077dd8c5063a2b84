"""What a saver needs of a serializer."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class SerializerProtocol(Protocol):
    """Values to (kind, bytes) and back."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """The kind of the bytes and the bytes."""

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """The value that ``dumps_typed`` was given."""


@runtime_checkable
class CipherProtocol(Protocol):
    """Bytes to bytes that only who has the key can read, and back."""

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        """The name of the cipher and the encrypted bytes."""

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        """What ``encrypt`` was given; raises where the bytes were changed, or are another cipher's."""


class _Typed:
    """A serializer that knows one kind only, with the typed methods added."""

    def __init__(self, serde: Any) -> None:
        self._serde = serde

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        return type(obj).__name__, self._serde.dumps(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        return self._serde.loads(data[1])


def typed(serde: Any) -> SerializerProtocol:
    """``serde``, with the typed methods where it has only ``dumps`` and ``loads``."""
    # What ``isinstance`` would look for too, a hundred times as long.
    known = hasattr(serde, "dumps_typed") and hasattr(serde, "loads_typed")
    return serde if known else _Typed(serde)
