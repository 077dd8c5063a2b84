"""Scripts are files that say what they take, called by digest."""

from __future__ import annotations

import hashlib
import re

import pytest

from distgraph.ledger.connection import connect
from distgraph.ledger.scripts import Call, Scripts, digests, sources
from tests.servers import free_port

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", sorted(sources()))
def test_a_script_names_all_its_keys_and_uses_them_by_name(name: str) -> None:
    """The header is the contract: as many KEYS as the code reads, each with its type, and none built inside."""
    source = sources()[name].decode()
    header = re.match(r"(?:--[^\n]*\n)+", source)
    assert header is not None
    code = source[header.end() :]
    keys = re.search(r"-- KEYS(.*?)\n-- (?:ARGV|->)", header[0], re.DOTALL)
    assert keys is not None
    named = sum(re.search(r"\b(?:HASH|LIST|SET|ZSET|STREAM|STRING)\b", part) is not None for part in apart(keys[1]))
    read = {int(number) for number in re.findall(r"KEYS\[(\d+)\]", code)}
    assert read == set(range(1, max(read) + 1))
    # some go over all they were given, or over as many as there are items
    assert named == max(read) or "KEYS[key]" in code or "unpack(KEYS" in code


def apart(words: str) -> list[str]:
    """Keys are set apart by wide gaps; "|" between two means one or the other."""
    return re.split(r" {2,}|\n(?!--  [^|]*\|)", words)


@pytest.mark.parametrize("name", sorted(sources()))
def test_a_script_names_all_its_arguments(name: str) -> None:
    """Numbered arguments are numbered without a gap; of others the header counts as many as the code reads."""
    source = sources()[name].decode()
    header = re.match(r"(?:--[^\n]*\n)+", source)
    assert header is not None
    read = {int(number) for number in re.findall(r"ARGV\[(\d+)\]", source[header.end() :])}
    listed = re.search(r"-- ARGV(.*?)\n-- ->", header[0], re.DOTALL)
    if not read:
        assert listed is None
        return
    assert listed is not None
    numbered = [int(number) for number in re.findall(r"(?:^|\s)(\d+) (?=[#a-z'])", listed[1])]
    if numbered:
        assert numbered == list(range(1, max(read) + 1))
    else:
        assert len(listed[1].split(",")) >= max(read)


@pytest.mark.parametrize("name", sorted(sources()))
def test_a_script_takes_the_time_from_the_server_alone(name: str) -> None:
    """No caller's clock is compared with another's; and a script that replicates gives the same on a replica."""
    source = sources()[name].decode()
    assert "os.time" not in source
    assert "os.clock" not in source
    assert "math.random" not in source
    assert source.count("redis.call('TIME')") <= 1


def test_a_call_is_sent_by_digest() -> None:
    call = Call("sweep", ("dg:{n/0}:due",), (10, 500))
    digest = hashlib.sha1(sources()["sweep"], usedforsecurity=False).hexdigest()
    assert call.command() == ("EVALSHA", digest, 1, "dg:{n/0}:due", 10, 500)
    assert set(digests()) == set(sources())


def test_no_calls_are_no_round_trip() -> None:
    """Nobody listens there."""
    scripts = Scripts(connect(f"redis://127.0.0.1:{free_port()}/0"))
    assert scripts.run_all([]) == []
