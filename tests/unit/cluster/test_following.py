"""Attaching to a run: from the start, from now on, from a cursor; and logs that have lost what is asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from distgraph.cluster import events, following
from distgraph.cluster.handle import RunHandle
from distgraph.constants import INTERRUPT
from distgraph.errors import ConfigError, EventsTrimmedError
from distgraph.graph.chunks import STREAM_MODES
from distgraph.testing import InProcessCluster
from tests.graphs.streamed import GRAPHS
from tests.unit.cluster.small import Counted, ask, chain, cluster_of

pytestmark = pytest.mark.unit

ALL: Any = sorted(STREAM_MODES)


def ended(name: str) -> tuple[InProcessCluster, RunHandle]:
    """A run that has come to its end, as one knows it who has its id."""
    cluster = InProcessCluster(GRAPHS.values())
    given: Any = {"messages": [{"role": "user", "content": "hi", "id": "m0"}]} if name == "told_talks" else {"x": 1}
    run = cluster.bind(GRAPHS[name]).submit(given, log="full")
    run.result()
    return cluster, cluster.run(run.run_id)


@pytest.mark.parametrize("name", ["told_fan", "told_talks", "told_nested", "told_retried"])
@pytest.mark.parametrize("modes", [["values"], ["updates", "custom"], ALL])
def test_a_cursor_goes_on_after_any_event(name: str, modes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever event was the last, also where several come of one entry, and where the state is kept only now and then."""
    monkeypatch.setattr(following, "FIRST", 2)
    cluster, run = ended(name)
    whole = list(run.events(modes, subgraphs=True))
    assert len({event.cursor for event in whole}) == len(whole) > 1
    for at, event in enumerate(whole):
        kept = json.loads(json.dumps(event.cursor))
        rest = list(cluster.run(run.run_id).events(modes, subgraphs=True, cursor=kept))
        assert [(e.mode, repr(e.data), e.ns, e.cursor) for e in rest] == [
            (e.mode, repr(e.data), e.ns, e.cursor) for e in whole[at + 1 :]
        ]


@pytest.mark.parametrize("frame", [2, 100])
def test_a_cursor_in_a_long_run(frame: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists that grow are told by what they grew by; all of them now and then."""
    monkeypatch.setattr(events, "FRAME", frame)
    monkeypatch.setattr(following, "FIRST", 3)
    cluster = cluster_of(graph := chain(*(Counted(f"n{n}") for n in range(7))))
    run = cluster.submit(graph, {"x": 1})
    run.result()
    whole = list(run.events("values"))
    assert [event.data["trail"] for event in whole] == [[f"n{n}" for n in range(length)] for length in range(8)]
    for at, event in enumerate(whole):
        assert list(run.events("values", cursor=event.cursor)) == whole[at + 1 :]


def test_from_now_on() -> None:
    cluster = cluster_of(graph := chain(Counted("a"), Counted("asks", ask("sure?")), Counted("b")))
    run = cluster.submit(graph, {"x": 1})
    assert INTERRUPT in run.result()
    later = run.stream(["updates", "values"], from_start=False)
    run.resume("yes")
    assert [chunk for mode, chunk in later if mode == "updates"] == [
        {"asks": {"trail": ["asks:yes"]}},
        {"b": {"trail": ["b"]}},
    ]


def test_who_attaches_while_the_run_goes_on_has_the_state_of_then() -> None:
    cluster = cluster_of(graph := chain(Counted("a"), Counted("asks", ask("sure?")), Counted("b")))
    run = cluster.submit(graph, {"x": 1})
    first = [event for event in run.events("values")]
    run.resume("yes")
    rest = list(cluster.run(run.run_id).events("values", cursor=first[-1].cursor))
    assert [event.data["trail"] for event in rest] == [["a"], ["a", "asks:yes"], ["a", "asks:yes", "b"]]


def test_what_nodes_tell_names_its_attempt_and_what_is_settled_does_not() -> None:
    _, run = ended("told_talks")
    told = list(run.events(["custom", "updates"]))
    assert [(event.mode, bool(event.attempt), bool(event.task)) for event in told] == [
        ("custom", True, True),
        ("custom", True, True),
        ("updates", False, False),
        ("updates", False, False),
    ]
    assert len({event.attempt for event in told if event.attempt}) == 1


class TestRefused:
    def test_a_cursor_of_other_modes(self) -> None:
        _, run = ended("told_fan")
        cursor = next(run.events("values")).cursor
        with pytest.raises(ConfigError, match="of a stream of values, this one is of updates"):
            next(run.events("updates", cursor=cursor))

    @pytest.mark.parametrize("cursor", ["", "x", "1-1", "1-1/x/values", 7, "/1/values"])
    def test_what_is_no_cursor(self, cursor: Any) -> None:
        _, run = ended("told_fan")
        with pytest.raises(ConfigError, match="is no cursor"):
            next(run.events("values", cursor=cursor))

    def test_a_cursor_of_another_run(self) -> None:
        _, run = ended("told_fan")
        with pytest.raises(EventsTrimmedError, match="not in its log any more"):
            next(run.events("values", cursor="1-9999/1/values"))

    def test_a_run_without_a_log(self) -> None:
        cluster = cluster_of(graph := chain(Counted("a")))
        run = cluster.submit(graph, {"x": 1}, log=False)
        with pytest.raises(ConfigError, match="keeps no log"):
            next(run.stream())

    def test_nested_graphs_of_a_run_that_does_not_keep_them(self) -> None:
        cluster = cluster_of(graph := chain(Counted("a")))
        with pytest.raises(ConfigError, match="log='full'"):
            next(cluster.submit(graph, {"x": 1}).stream(subgraphs=True))

    def test_a_mode_that_does_not_exist(self) -> None:
        _, run = ended("told_fan")
        with pytest.raises(ConfigError, match="Unknown stream mode 'value'"):
            next(run.stream("value"))  # type: ignore[arg-type]


class TestTrimmed:
    """A log keeps its newest entries alone."""

    @pytest.fixture
    def run(self, monkeypatch: pytest.MonkeyPatch) -> RunHandle:
        """Of whose log the first three entries are gone."""
        _, run = ended("told_fan")
        entries = run._runs.log(run._address, "0")
        kept = entries[3:]

        def log(address: Any, after: str, *, most: int = 500, block_ms: Any = None) -> Any:
            ids = [entry_id for entry_id, _ in entries]
            start = ids.index(after) + 1 if after in ids else 0
            return [entry for entry in entries[start:] if entry in kept][:most]

        def log_back(address: Any, upto: str = "", *, most: int = 500) -> Any:
            ids = [entry_id for entry_id, _ in entries]
            stop = ids.index(upto) + 1 if upto in ids else 0 if upto else len(ids)
            return [entry for entry in entries[:stop] if entry in kept][::-1][:most]

        monkeypatch.setattr(run._runs, "log", log)
        monkeypatch.setattr(run._runs, "log_back", log_back)
        monkeypatch.setattr(following, "LOG_LENGTH", len(kept))
        return run

    def test_the_first_events(self, run: RunHandle) -> None:
        with pytest.raises(EventsTrimmedError, match="its first events are not in its log any more"):
            next(run.events("updates"))

    def test_what_comes_from_now_on_without_its_state(self, run: RunHandle) -> None:
        with pytest.raises(EventsTrimmedError, match="the state before these events"):
            next(run.events("values", from_start=False))
        assert list(run.events("updates", from_start=False)) == []

    def test_what_a_slow_reader_has_not_read(self, run: RunHandle, monkeypatch: pytest.MonkeyPatch) -> None:
        """It was behind the first entry when that went."""
        monkeypatch.setattr(following, "LOG_LENGTH", 100)
        reader = run._follower(run._replay(run._record(), frozenset({"updates"}), None, False))
        reader._after = "1-1"
        with pytest.raises(EventsTrimmedError, match="what came after 1-1"):
            next(reader.events())
