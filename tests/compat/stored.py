"""A namespace on a server as plain JSON, key by key, and back: independent of what the keys mean, and of RDB versions."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import redis

#: Who lives now is no part of what is stored.
PASSING = (":worker:", ":workers")


def dump(client: redis.Redis, namespace: str) -> dict[str, Any]:
    """All keys of a namespace and of its queue: key -> [type, content]."""
    found: dict[str, Any] = {}
    for pattern in (f"dg:{{{namespace}/*", f"dg.{namespace}"):
        for raw in client.scan_iter(match=pattern, count=1000):
            key = raw.decode()
            if not any(part in key for part in PASSING):
                kind = _text(client.type(key))
                found[key] = [kind, _content(client, key, kind)]
    return dict(sorted(found.items()))


def load(client: redis.Redis, stored: dict[str, Any]) -> None:
    """Write what ``dump`` read; the keys must not be there."""
    for key, (kind, content) in stored.items():
        if kind == "string":
            client.set(key, _bytes(content))
        elif kind == "hash":
            client.hset(key, mapping={_bytes(field): _bytes(value) for field, value in content})
        elif kind == "zset":
            client.zadd(key, {_bytes(member): score for member, score in content})
        elif kind == "list":
            client.rpush(key, *map(_bytes, content))
        elif kind == "set":
            client.sadd(key, *map(_bytes, content))
        else:
            for entry, fields in content:
                client.xadd(key, {_bytes(field): _bytes(value) for field, value in fields}, id=entry)


def _content(client: Any, key: str, kind: str) -> Any:
    if kind == "string":
        return _plain(client.get(key))
    if kind == "hash":
        return sorted([_plain(field), _plain(value)] for field, value in client.hgetall(key).items())
    if kind == "zset":
        return [[_plain(member), score] for member, score in client.zrange(key, 0, -1, withscores=True)]
    if kind == "list":
        return [_plain(value) for value in client.lrange(key, 0, -1)]
    if kind == "set":
        return sorted(_plain(value) for value in client.smembers(key))
    entries = client.xrange(key)
    return [[_text(entry), [[_plain(f), _plain(v)] for f, v in fields.items()]] for entry, fields in entries]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _plain(value: bytes) -> str:
    """Printable ASCII as it is, for people who compare two files; anything else in base64."""
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError:
        text = ""
    plain = text and text.isprintable() and not text.startswith("base64:")
    return text if plain else "base64:" + b64encode(value).decode()


def _bytes(text: str) -> bytes:
    return b64decode(text[7:]) if text.startswith("base64:") else text.encode()
