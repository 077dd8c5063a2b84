"""The twin's state as a server would hold it, key by key: to compare the two as wholes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgpack import unpackb

from distgraph.ledger.keys import Keys, encoded
from distgraph.ledger.memory import MemoryLedger
from distgraph.ledger.memory.tables import Part, RunKey, State, Tries, stored

Dump = dict[str, Any]


def laid_out(ledger: MemoryLedger, keys: Keys) -> Dump:
    """Key -> content, empty ones left out."""
    state = ledger.state
    found = {**_runs(state, keys), **_lines(state, keys), **_batches(state, keys), **_chunks(state, keys)}
    found |= _shared(state, keys)
    found |= _items(state, keys)
    return {key: content for key, content in found.items() if content}


def _raw(table: Mapping[Any, Any]) -> dict[bytes, bytes]:
    return {stored(field): stored(value) for field, value in table.items()}


def _runs(state: State, keys: Keys) -> Dump:
    def at(key: RunKey, kind: str) -> str:
        return f"{keys.tag(key.partition)}{kind}:{encoded(key.run_id)}"

    out: Dump = {keys.directory(run): thread.encode() for run, (thread, _) in state.threads.items()}
    for kind, table in (("run", state.records), ("open", state.outcomes), ("claims", state.claims)):
        out |= {at(key, kind): _raw(fields) for key, fields in table.items()}
    out |= {at(key, "gone"): stored(over) for key, (over, _) in state.gone.items()}
    there = [key for key in state.effects if state.effects_over.get(key, state.now_ms() + 1) > state.now_ms()]
    out |= {at(key, "once"): _raw(state.effects.look(key)) for key in there}
    out |= {
        at(key, "naps"): {task.encode(): float(ms) for task, ms in naps.items()} for key, naps in state.naps.items()
    }
    out |= {at(key, "log"): [log[n][1] for n in sorted(log)] for key, log in state.logs.items()}
    out |= {at(key, "tries"): _tries(fields) for key, fields in state.tries.items()}
    for partition, due in state.due.items():
        out[keys.due(partition)] = {entry.encode(): float(ms) for entry, ms in due.items()}
    for partition, ages in state.ages.items():
        out[keys.ages(partition)] = {thread.encode(): float(ms) for thread, ms in ages.items()}
    for partition, dead in state.dead.items():
        out[keys.dead(partition)] = {name.encode(): float(ms) for name, ms in dead.items()}
    for key, ms in state.submitted.items():
        out.setdefault(keys.tag(key.partition) + "runs", {})[key.run_id.encode()] = float(ms)
    return out


def _tries(tasks: Mapping[str, Tries]) -> dict[bytes, bytes]:
    out: dict[bytes, bytes] = {}
    for task, tried in tasks.items():
        fields = {"a": tried.attempts, "f": tried.first_ms, "x": tried.crashes}
        out |= {f"{name}:{task}".encode(): stored(number) for name, number in fields.items() if number}
        if tried.why:
            out[f"w:{task}".encode()] = tried.why.encode()
    return out


def _lines(state: State, keys: Keys) -> Dump:
    out: Dump = {keys.line(*at): _raw(line) for at, line in state.lines.items()}
    out |= {keys.of(at[0], "pend", *at): _raw(kept) for at, kept in state.kept.items()}
    out |= {keys.of(thread, "turns", thread): [run.encode() for run in runs] for thread, runs in state.turns.items()}
    out |= {keys.of(thread, "nested", thread): {ns.encode() for ns in found} for thread, found in state.nested.items()}
    for at, ids in state.history.items():
        out[keys.of(at[0], "hist", *at)] = {checkpoint.encode(): 0.0 for checkpoint in ids}
    return out


def _batches(state: State, keys: Keys) -> Dump:
    out: Dump = {}
    for (batch, partition), part in state.parts.items():
        out[keys.batch(partition, "batch", batch)] = _part(state, keys, batch, partition, part)
    for (batch, partition), spans in state.ready.items():
        out[keys.batch(partition, "ready", batch)] = [span.span().encode() for span in spans]
    for (batch, partition), crashes in state.crashes.items():
        out[keys.batch(partition, "crash", batch)] = _raw(crashes)
    for (batch, partition), asking in state.asking.items():
        out[keys.batch(partition, "asks", batch)] = {stored(index) for index in asking}
    for (batch, partition), slices in state.slices.items():
        held = {name: f"{slot}|{taken.span()}" for name, (slot, taken) in slices.items()}
        out[keys.batch(partition, "slices", batch)] = _raw(held)
    return out


def _part(state: State, keys: Keys, batch: str, partition: int, part: Part) -> dict[bytes, bytes]:
    fields: dict[str, Any] = {f"c:{chunk}": digest for chunk, digest in state.digests.look((batch, partition)).items()}
    for (name, chunk), done in state.finished.items():
        if name == batch and keys.chunk_partition(batch, chunk) == partition:
            fields[f"k:{chunk}"] = done
    for name in ("total", "done", "failed", "cancelled", "promoted", "state", "pause"):
        fields[name] = getattr(part, name)
    if part.epoch is not None:
        fields["e"] = part.epoch
    if part.returned is not None:
        slice_id, slot, answer, counted = part.returned
        fields |= {"returned": f"{slice_id}|{slot}", "answered": answer, "counted": counted}
    return _raw(fields)


def _chunks(state: State, keys: Keys) -> Dump:
    def at(batch: str, chunk: int, kind: str) -> str:
        return keys.batch(keys.chunk_partition(batch, chunk), kind, batch, chunk)

    out: Dump = {at(*key, "in"): list(items) for key, items in state.inputs.items()}
    out |= {at(*key, "out"): _raw(rows) for key, rows in state.rows.items()}
    return out


def _items(state: State, keys: Keys) -> Dump:
    out: Dump = {}
    for namespace, held in state.items.items():
        name = ".".join(namespace)
        if held:
            out.setdefault(f"{keys.tag(keys.partition(name))}spaces", {})[name.encode()] = 0.0
        out[keys.of(name, "items", name)] = {key.encode(): float(kept.created) for key, kept in held.items()}
        for key, kept in held.items():
            _, _, value, vectors, ms = kept.stored
            times = {"c": kept.created, "u": kept.updated, "t": "" if ms is None else ms}
            out[keys.of(name, "item", name, key)] = _raw({"v": value, "x": vectors, **times})
    for namespace, results in state.results.items():
        name = "\0".join(namespace)
        scores = {key.encode(): float(until or "inf") for key, (_, until) in results.items()}
        out[keys.of(name, "keptin", *namespace)] = scores
        out |= {keys.of(name, "kept", *namespace, key): value for key, (value, _) in results.items()}
    return out


def _shared(state: State, keys: Keys) -> Dump:
    out: Dump = {}
    for batch, fields in state.manifests.items():
        told = {"manifest": _text(fields["manifest"])} if "manifest" in fields else {}
        out[keys.shared("manifest", batch)] = _raw({**fields, **told})
    out[keys.shared("batches")] = {batch.encode(): float(ms) for batch, ms in state.opened.items()}
    out[keys.shared("active")] = {batch.encode() for batch in state.active}
    out[keys.shared("over")] = {batch.encode(): float(ms) for batch, ms in state.over.items()}
    out |= {keys.shared("gone", batch): stored(over) for batch, (over, _) in state.past.items()}
    out[keys.shared("meta")] = _raw(state.format)
    out[keys.shared("counts")] = _raw(state.counts)
    until, failing = state.failing.get("", (0, {}))
    out[keys.shared("failing")] = _raw(failing) if until > state.now_ms() else {}
    out[keys.shared("graphs")] = {"\n".join(graph).encode(): _text(about) for graph, about in state.graphs.items()}
    out[keys.shared("workers")] = {boot.encode() for boot in state.beats}
    out |= {keys.shared("worker", boot): _text(record) for boot, (_, record) in state.beats.items()}
    return out


def _text(data: bytes) -> bytes:
    return json.dumps(unpackb(data)).encode()


#: Fields of a batch that count, or say nothing where they are empty.
COUNTERS = (b"total", b"done", b"failed", b"cancelled", b"promoted")


def same_form(dump: Dump) -> Dump:
    """Without what means the same as its absence: counters of 0, a state or pause of ''."""
    out: Dump = {}
    for key, content in dump.items():
        if ":batch:" in key and isinstance(content, dict):
            content = {
                name: value
                for name, value in content.items()
                if not (name in COUNTERS and value == b"0") and not (name in (b"state", b"pause") and value == b"")
            }
        if content:
            out[key] = content
    return out
