"""What is special to the engine without an event loop: OS threads."""

from __future__ import annotations

import sys
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.config import get_stream_writer
from distgraph.engine import sync
from distgraph.engine.states import States
from distgraph.engine.sync import stops_others, worse
from distgraph.errors import ParentCommand, StepTimeoutError
from distgraph.types import Command
from tests.unit.engine.small import ask, line, logs, modes, on, side_by_side
from tests.waiting import wait_until

pytestmark = pytest.mark.unit

#: Seconds; used up by a failing test only.
PATIENCE = 10


def note(ran: list[str], name: str) -> Any:
    """A node that says that it ran."""
    return lambda state: ran.append(name)


def thread_name(state: Any) -> Any:
    return {"log": [threading.current_thread().name]}


def test_a_superstep_of_one_task_runs_in_the_callers_thread() -> None:
    """Also where chunks are read, unless they come from inside the node."""
    here = threading.current_thread().name
    program = line("a", a=thread_name)
    assert sync.run(ask(program, {})).value["log"] == [here]
    assert list(sync.stream(ask(program, {}, modes=modes("updates")))) == [((), "updates", {"a": {"log": [here]}})]


def test_tasks_side_by_side_run_at_the_same_time() -> None:
    """Each waits for the other, so one after the other would never end."""
    meet = threading.Barrier(3, timeout=PATIENCE)

    def wait(state: Any) -> Any:
        meet.wait()

    sync.run(ask(side_by_side(a=wait, b=wait, c=wait), {"n": 1}))


def widest(tasks: int, **options: Any) -> int:
    lock, inside, peak = threading.Lock(), [0], [0]
    full = threading.Event()
    expected = options.pop("expected")

    def node(state: Any) -> Any:
        with lock:
            inside[0] += 1
            peak[0] = max(peak[0], inside[0])
            if inside[0] == expected:
                full.set()
        full.wait(PATIENCE)
        with lock:
            inside[0] -= 1

    sync.run(ask(side_by_side(**{f"n{i}": node for i in range(tasks)}), {"n": 1}, **options))
    return peak[0]


def test_no_more_tasks_than_allowed_run_at_the_same_time() -> None:
    """The request's limit, or the config's."""
    assert widest(6, max_concurrency=2, expected=2) == 2
    assert widest(6, config={"max_concurrency": 3}, expected=3) == 3
    assert widest(4, max_concurrency=1, expected=1) == 1


def test_one_at_a_time_with_live_chunks_does_not_hang() -> None:
    """The thread that hands out chunks takes no place among the workers."""

    def node(state: Any) -> Any:
        get_stream_writer()("chunk")

    request = ask(side_by_side(a=node, b=node), {"n": 1}, modes=modes("custom"), max_concurrency=1)
    assert list(sync.stream(request)) == [((), "custom", "chunk")] * 2


def test_chunks_come_while_the_node_still_runs() -> None:
    """The node goes on only after its chunk was read."""
    read = threading.Event()

    def node(state: Any) -> Any:
        get_stream_writer()("working")
        return {"log": [read.wait(PATIENCE)]}

    chunks = sync.stream(ask(line("a", a=node), {}, modes=modes("custom", "updates")))
    assert next(chunks) == ((), "custom", "working")
    read.set()
    assert list(chunks) == [((), "updates", {"a": {"log": [True]}})]


def test_a_failure_waits_for_siblings_that_run_and_keeps_their_writes() -> None:
    """OS threads cannot be cancelled; what they did is not thrown away."""
    failed = threading.Event()

    def bad(state: Any) -> Any:
        failed.set()
        raise ValueError("boom")

    def slow(state: Any) -> Any:
        failed.wait(PATIENCE)
        return {"log": ["slow"]}

    program, saver = side_by_side(a=slow, bad=bad), InMemorySaver()
    with pytest.raises(ValueError, match="boom"):
        sync.run(ask(program, {}, on(), saver))
    halted = States(program, saver).get(on())
    assert (halted.values["log"], halted.next) == (["slow"], ("bad",))


def test_a_failure_starts_nothing_more() -> None:
    """What had not begun runs when the thread is resumed."""
    ran: list[str] = []

    def bad(state: Any) -> Any:
        raise ValueError("boom")

    nodes = {"a": bad, **{f"n{i}": note(ran, f"n{i}") for i in range(5)}}
    program, saver = side_by_side(**nodes), InMemorySaver()
    with pytest.raises(ValueError, match="boom"):
        sync.run(ask(program, {}, on(), saver, max_concurrency=1))
    assert ran == []
    assert States(program, saver).get(on()).next == tuple(nodes)


def test_a_command_for_the_parent_stops_no_sibling() -> None:
    """It is no failure; a failure beside it wins."""
    up, boom = ParentCommand(Command()), ValueError("boom")
    assert not stops_others(up)
    assert stops_others(boom)
    assert worse(None, up) is up
    assert worse(up, boom) is boom
    assert worse(boom, KeyError()) is boom


def test_a_superstep_that_takes_too_long_ends_the_run() -> None:
    """The thread itself cannot be stopped, and is not waited for."""
    release = threading.Event()

    def node(state: Any) -> Any:
        release.wait(PATIENCE)

    try:
        for expected in (StepTimeoutError, TimeoutError):
            with pytest.raises(expected, match="Timed out"):
                sync.run(ask(line("a", a=node), {}, step_timeout=0.05))
    finally:
        release.set()


def test_a_superstep_in_time_is_not_disturbed() -> None:
    program = side_by_side(a=logs("a"), b=logs("b"))
    assert sync.run(ask(program, {}, step_timeout=PATIENCE)).value["log"] == ["a", "b"]


def test_context_variables_reach_nodes_and_do_not_leak_between_them() -> None:
    """Each task has a copy of the caller's context."""
    who: ContextVar[str] = ContextVar("who")
    who.set("caller")

    def node(state: Any) -> Any:
        seen = who.get()
        who.set("somebody else")
        return {"log": [seen]}

    nodes = {f"n{i}": node for i in range(4)}
    assert sync.run(ask(side_by_side(**nodes), {}, max_concurrency=1)).value["log"] == ["caller"] * 4


def test_a_reader_that_stops_reading_stops_the_run() -> None:
    """Nothing after the superstep under way is run; the thread can be resumed."""
    ran: list[str] = []
    program = line("a", "b", a=lambda s: ran.append("a"), b=lambda s: ran.append("b"))
    saver = InMemorySaver()
    chunks: Any = sync.stream(ask(program, {"n": 1}, on(), saver, modes=modes("updates")))
    assert next(chunks) == ((), "updates", {"a": None})
    chunks.close()
    assert ran == ["a"]
    sync.run(ask(program, None, on(), saver))
    assert ran == ["a", "b"]


def test_a_reader_that_stops_reading_starts_no_more_siblings() -> None:
    ran: list[str] = []
    others = set(threading.enumerate())
    first, later = threading.Event(), threading.Event()

    def wait(state: Any) -> None:
        first.set()
        later.wait(PATIENCE)

    nodes = {"a": lambda s: None, "b": wait, **{f"n{i}": note(ran, f"n{i}") for i in range(5)}}
    program = side_by_side(**nodes)
    chunks: Any = sync.stream(ask(program, {"n": 1}, modes=modes("updates"), max_concurrency=1))
    assert next(chunks) == ((), "updates", {"a": None})
    assert first.wait(PATIENCE)
    mine = set(threading.enumerate()) - others
    chunks.close()
    later.set()
    for thread in mine:
        thread.join(PATIENCE)
    assert ran == []


def test_threads_end_with_their_run() -> None:
    before = set(threading.enumerate())
    sync.run(ask(side_by_side(**{f"n{i}": thread_name for i in range(8)}), {}))
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
    assert set(threading.enumerate()) <= before


def test_a_wide_superstep_may_follow_another() -> None:
    """The threads of a run are used again."""
    from tests.unit.engine.small import small

    nodes = {name: logs(name) for name in "abcd"}
    program = small(nodes, ("__start__", "a"), ("__start__", "b"), ("a", "c"), ("b", "d"))
    assert sync.run(ask(program, {})).value["log"] == ["a", "b", "c", "d"]


def test_ctrl_c_in_a_node_ends_the_run() -> None:
    def node(state: Any) -> Any:
        raise KeyboardInterrupt

    for program in (line("a", a=node), side_by_side(a=node, b=logs("b"))):
        with pytest.raises(KeyboardInterrupt):
            sync.run(ask(program, {}))


class Slow(InMemorySaver):
    """Stores when it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.allowed, self.stored = threading.Event(), threading.Event(), False

    def put_writes(self, *args: Any, **more: Any) -> None:
        self.asked.set()
        assert self.allowed.wait(PATIENCE)
        super().put_writes(*args, **more)
        self.stored = True


def test_what_somebody_else_stores_is_waited_for() -> None:
    """A task that a node calls is seen by its caller when what it came to is stored, whichever OS thread stores it."""
    saver = Slow()
    engine = sync._Engine(ask(line("a"), {}, on(), saver), None)
    engine.session.keep_from_outside("task", [("n", 1)])
    storing = threading.Thread(target=engine._send)
    storing.start()
    assert saver.asked.wait(PATIENCE)
    me = threading.get_ident()

    def allow() -> None:
        wait_until(lambda: sys._current_frames()[me].f_code.co_name == "_send", what="the other one waits")
        saver.allowed.set()

    allowing = threading.Thread(target=allow)
    allowing.start()
    engine._send()
    assert saver.stored
    storing.join()
    allowing.join()
