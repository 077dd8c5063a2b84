"""Values encrypted where a saver keeps them: ``InMemorySaver(serde=EncryptedSerializer.from_pycryptodome_aes())``."""

from __future__ import annotations

import os
from typing import Any, Self

from distgraph.checkpoint.serde.base import CipherProtocol, SerializerProtocol, typed
from distgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from distgraph.errors import CodecError, ConfigError, TamperedDataError

_KEYS = ("DISTGRAPH_AES_KEY", "LANGGRAPH_AES_KEY")
_SIZES = (16, 24, 32)
#: Bytes: of what AES draws for each value, and of what shows that nothing was changed.
_NONCE = _TAG = 16


class EncryptedSerializer:
    """Values to (kind and cipher, encrypted bytes) and back.

    What is not encrypted is refused, so that whoever can write to the store cannot slip in values of his own.

    Args:
        cipher: encrypts and decrypts.
        serde: makes the bytes that are encrypted; by default ``JsonPlusSerializer``.
    """

    def __init__(self, cipher: CipherProtocol, serde: Any = None) -> None:
        self.cipher = cipher
        self.serde: SerializerProtocol = JsonPlusSerializer() if serde is None else typed(serde)

    @classmethod
    def from_pycryptodome_aes(cls, serde: Any = None, **options: Any) -> Self:
        """Encrypt with AES, by the package pycryptodome.

        Args:
            serde: as of the class.
            **options: of ``AES.new``: ``key``, 16, 24 or 32 bytes, by default those of DISTGRAPH_AES_KEY or
                LANGGRAPH_AES_KEY in the environment; ``mode``, EAX (the default) or GCM.

        Raises:
            ImportError: pycryptodome is not installed.
            ConfigError: there is no key, it has another length, or it is another mode (a ValueError).
        """
        try:
            from Crypto.Cipher import AES  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            raise ImportError("Pycryptodome is not installed. Install it with: pip install pycryptodome") from None
        key = options.pop("key", None) or _key_of_environment()
        if len(key) not in _SIZES:
            raise ConfigError(f"An AES key must be 16, 24, or 32 bytes long, this one has {len(key)}.")
        mode = options.pop("mode", None) or AES.MODE_EAX
        if mode not in (AES.MODE_EAX, AES.MODE_GCM):
            raise ConfigError(f"AES mode {mode} is not taken: use AES.MODE_EAX or AES.MODE_GCM, which notice changes.")
        return cls(_Aes(AES, key, mode, options), serde)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """The kind of the bytes with the name of the cipher, and the encrypted bytes.

        Raises:
            CodecError: something in ``obj`` cannot be stored.
        """
        kind, data = self.serde.dumps_typed(obj)
        name, encrypted = self.cipher.encrypt(data)
        return f"{kind}+{name}", encrypted

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """The value that ``dumps_typed`` was given.

        Raises:
            CodecError: the bytes are not encrypted.
            TamperedDataError: they were changed, or encrypted with another key.
        """
        kind, separator, name = data[0].rpartition("+")
        if not separator:
            raise CodecError(
                f"Stored value of kind {data[0]!r} is not encrypted, and this serializer reads nothing else. Copy old "
                "threads to a store of their own once, reading them with the serializer that wrote them."
            )
        return self.serde.loads_typed((kind, self.cipher.decrypt(name, data[1])))


class _Aes:
    """AES in a mode that notices changes."""

    def __init__(self, aes: Any, key: bytes, mode: int, options: dict[str, Any]) -> None:
        self._aes, self._key, self._mode, self._options = aes, key, mode, options

    def _new(self, **more: Any) -> Any:
        return self._aes.new(self._key, self._mode, **self._options, **more)

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        cipher = self._new()
        text, tag = cipher.encrypt_and_digest(plaintext)
        return "aes", cipher.nonce + tag + text

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        if ciphername != "aes":
            raise CodecError(f"Stored value is encrypted with {ciphername!r}, this serializer reads 'aes'.")
        nonce, tag = ciphertext[:_NONCE], ciphertext[_NONCE : _NONCE + _TAG]
        try:
            plaintext: bytes = self._new(nonce=nonce).decrypt_and_verify(ciphertext[_NONCE + _TAG :], tag)
        except ValueError as exc:
            text = "Stored value cannot be decrypted: it was changed, or encrypted with another key."
            raise TamperedDataError(text) from exc
        return plaintext


def _key_of_environment() -> bytes:
    for name in _KEYS:
        if os.environ.get(name):
            return os.environ[name].encode()
    raise ConfigError(f"There is no AES key: set {_KEYS[0]} to 16, 24, or 32 bytes, or give key=.")
