"""What a saver keeps is encrypted, and nothing else is read."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest

from distgraph.checkpoint.base import BaseCheckpointSaver
from distgraph.checkpoint.memory import InMemorySaver
from distgraph.checkpoint.serde.base import CipherProtocol
from distgraph.checkpoint.serde.encrypted import EncryptedSerializer
from distgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from distgraph.errors import CodecError, ConfigError, TamperedDataError
from distgraph.graph import START, StateGraph

pytestmark = pytest.mark.unit
KEY = b"0123456789abcdef"


class Turned:
    """A cipher that anybody can undo, to see where it is used."""

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        return "turned", plaintext[::-1]

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        assert ciphername == "turned"
        return ciphertext[::-1]


class State(TypedDict):
    secret: str


def kept_by(saver: BaseCheckpointSaver[str]) -> str:
    """What a graph says whose state ``saver`` keeps."""
    graph = StateGraph(State).add_node("n", lambda state: {"secret": state["secret"] + "!"}).add_edge(START, "n")
    config: Any = {"configurable": {"thread_id": "1"}}
    graph.compile(checkpointer=saver).invoke({"secret": "hush"}, config)
    return str(graph.compile(checkpointer=saver).get_state(config).values["secret"])


def test_values_are_encrypted_and_read_again() -> None:
    assert isinstance(Turned(), CipherProtocol)
    serde = EncryptedSerializer(Turned())
    kind, data = serde.dumps_typed({"a": (1, "hush")})
    assert kind == "msgpack+turned"
    assert b"hush" not in data
    assert serde.loads_typed((kind, data)) == {"a": (1, "hush")}


def test_a_saver_keeps_only_encrypted_values() -> None:
    saver = InMemorySaver(serde=EncryptedSerializer(Turned()))
    assert kept_by(saver) == "hush!"
    assert saver.blobs
    assert all(kind.endswith("+turned") and b"hush" not in data for kind, data in saver.blobs.values())


def test_what_is_not_encrypted_is_refused() -> None:
    with pytest.raises(CodecError, match="is not encrypted"):
        EncryptedSerializer(Turned()).loads_typed(JsonPlusSerializer().dumps_typed("slipped in"))


def test_the_serializer_inside_may_be_another() -> None:
    class Texts:
        def dumps(self, obj: Any) -> bytes:
            return str(obj).encode()

        def loads(self, data: bytes) -> str:
            return data.decode()

    serde = EncryptedSerializer(Turned(), Texts())
    assert serde.dumps_typed(12) == ("int+turned", b"21")
    assert serde.loads_typed(("int+turned", b"21")) == "12"


# ---------------------------------------------------------------- AES


def test_aes_needs_a_key_of_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("Crypto")
    for name in ("DISTGRAPH_AES_KEY", "LANGGRAPH_AES_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="There is no AES key: set DISTGRAPH_AES_KEY"):
        EncryptedSerializer.from_pycryptodome_aes()
    with pytest.raises(ConfigError, match="must be 16, 24, or 32 bytes long, this one has 3"):
        EncryptedSerializer.from_pycryptodome_aes(key=b"abc")
    with pytest.raises(ConfigError, match=r"use AES\.MODE_EAX or AES\.MODE_GCM"):
        EncryptedSerializer.from_pycryptodome_aes(key=KEY, mode=2)


@pytest.mark.parametrize("name", ["DISTGRAPH_AES_KEY", "LANGGRAPH_AES_KEY"])
def test_aes_takes_its_key_from_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("Crypto")
    monkeypatch.setenv(name, KEY.decode())
    data = EncryptedSerializer.from_pycryptodome_aes().dumps_typed({"a": 1})
    assert data[0] == "msgpack+aes"
    assert EncryptedSerializer.from_pycryptodome_aes(key=KEY).loads_typed(data) == {"a": 1}


def test_aes_notices_changes_and_other_keys() -> None:
    pytest.importorskip("Crypto")
    serde = EncryptedSerializer.from_pycryptodome_aes(key=KEY)
    kind, data = serde.dumps_typed("hush")
    assert serde.dumps_typed("hush")[1] != data, "a nonce of its own for each value"
    for changed in (data[:-1] + bytes([data[-1] ^ 1]), data[:20]):
        with pytest.raises(TamperedDataError, match="cannot be decrypted"):
            serde.loads_typed((kind, changed))
    with pytest.raises(TamperedDataError):
        EncryptedSerializer.from_pycryptodome_aes(key=KEY[::-1]).loads_typed((kind, data))
    with pytest.raises(CodecError, match="encrypted with 'other'"):
        serde.loads_typed(("msgpack+other", data))


def test_aes_keeps_threads() -> None:
    pytest.importorskip("Crypto")
    assert kept_by(InMemorySaver(serde=EncryptedSerializer.from_pycryptodome_aes(key=KEY))) == "hush!"


def test_without_its_package_aes_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "Crypto.Cipher", None)
    with pytest.raises(ImportError, match="pip install pycryptodome"):
        EncryptedSerializer.from_pycryptodome_aes(key=KEY)
