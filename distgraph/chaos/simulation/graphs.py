"""Small graphs that together use all of the protocol, and what each of them comes to.

Every execution of a node draws a number, which it writes into the state: the trace at the end says which execution each
superstep's result came from. Apart from those numbers the final state is a function of the input alone.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import count, pairwise
from typing import Annotated, Any, Protocol, TypedDict

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.constants import END, START
from distgraph.graph.state import StateGraph
from distgraph.runtime import Runtime
from distgraph.types import Command, RetryPolicy, Send, interrupt

#: What is answered to whoever asks.
ANSWERS = ("yes", "no")
#: What stands in the trace for what no node wrote, but a Command.
TOLD = "told"
#: Graphs that ask.
ASKING = ("ask", "steer")
#: The version of a graph that runs in one process, which cannot keep time limits.
IN_PROCESS = 0
#: Attempts of a node that is tried again.
ATTEMPTS = 3
#: The time limit of a node that has one.
LIMIT_SECONDS = 0.5
#: Graphs whose runs may fail, until somebody tries again.
FAILING = ("broken", "limited")
#: Graphs of which a task is tried again -> how often in all, and how many of its tasks at a time.
RETRIED = {"flaky": (2, 1), "flock": (6, 3)}
_MODULUS = 10_007


def fold(left: int, right: int) -> int:
    """A reducer for which order matters."""
    return (31 * left + right) % _MODULUS


class State(TypedDict, total=False):
    """The state of all these graphs."""

    total: Annotated[int, operator.add]
    fold: Annotated[int, fold]
    trace: Annotated[list[Any], operator.add]
    round: int
    n: int
    answer: str
    deed: int


class Stage(Protocol):
    """Where nodes act: told of every execution, and asked how the world is."""

    def execute(self, node: str, runtime: Runtime[Any], version: int) -> int:
        """A node runs; the number of this execution."""
        ...

    def healed(self, run_id: str) -> bool:
        """Whether what made this run fail has been repaired."""
        ...

    def die(self) -> None:
        """The process that runs the node ends here."""
        ...

    def effect(self, key: str) -> int:
        """Something is done in the outside world; the number of the deed."""
        ...

    def nap(self, key: str) -> float:
        """A node is about to sleep; for how many seconds."""
        ...

    def awake(self, key: str) -> None:
        """A node has slept."""
        ...


class _Here:
    """The stage of a run in this process, that shows what is expected."""

    well = True

    def execute(self, node: str, runtime: Runtime[Any], version: int) -> int:
        return 0

    def healed(self, run_id: str) -> bool:
        return self.well

    def die(self) -> None:
        """Nothing dies here."""

    def effect(self, key: str) -> int:
        return 0

    def nap(self, key: str) -> float:
        return 0.0

    def awake(self, key: str) -> None:
        """Nobody slept."""


class _On:
    """The stage that nodes act on now; only one schedule is played at a time."""

    stage: Stage = _Here()


def play_on(stage: Stage | None) -> None:
    """Let nodes act on ``stage``; None: on none."""
    _On.stage = stage or _Here()


class Failure(Exception):
    """What a node of these graphs raises."""


def _write(name: str, runtime: Runtime[Any], version: int, weight: int = 1, **more: Any) -> dict[str, Any]:
    number = _On.stage.execute(name, runtime, version)
    return {"total": weight, "fold": weight, "trace": [[name, number, runtime.idempotency_key]], **more}


def _plain(name: str, weight: int, version: int) -> Callable[..., Any]:
    def node(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
        return _write(name, runtime, version, weight)

    return node


def _builder(version: int, names: str = "") -> StateGraph[Any, Any, Any, Any]:
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(State)
    for place, name in enumerate(names):
        builder.add_node(name, _plain(name, 10**place, version))
    return builder


def _chain(version: int) -> StateGraph[Any, Any, Any, Any]:
    names = "abcd" if version == 2 else "abc"
    builder = _builder(version, names)
    edges = [START, *names, END]
    for early, late in pairwise(edges):
        builder.add_edge(early, late)
    return builder


def _fan(version: int) -> StateGraph[Any, Any, Any, Any]:
    """Three at once, then all of them are waited for."""
    builder = _builder(version, "abcd")
    for name in "abc":
        builder.add_edge(START, name)
    builder.add_edge(["a", "b", "c"], "d")
    builder.add_edge("d", END)
    return builder


def _join(version: int) -> StateGraph[Any, Any, Any, Any]:
    """A join of branches that are not equally long; one of its nodes always travels."""
    builder = _builder(version, "abd")
    builder.add_node("c", _plain("c", 7, version), placement="spread")
    builder.add_edge(START, "a")
    builder.add_edge(START, "b")
    builder.add_edge("b", "c")
    builder.add_edge(["a", "c"], "d")
    builder.add_edge("d", END)
    return builder


def _sends(version: int) -> StateGraph[Any, Any, Any, Any]:
    builder = _builder(version, "a")

    def work(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
        return _write("work", runtime, version, 10 ** state["n"])

    builder.add_node("work", work)
    builder.add_edge(START, "a")
    builder.add_conditional_edges("a", lambda state: [Send("work", {"n": n}) for n in range(3)], ["work"])
    builder.add_edge("work", END)
    return builder


def _loop(version: int) -> StateGraph[Any, Any, Any, Any]:
    builder = _builder(version)

    def turn(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
        done = state.get("round", 0)
        return _write("turn", runtime, version, 10**done, round=done + 1)

    builder.add_node("turn", turn)
    builder.add_edge(START, "turn")
    builder.add_conditional_edges("turn", lambda state: "turn" if state["round"] < 3 else END, ["turn", END])
    return builder


def _ask(version: int) -> StateGraph[Any, Any, Any, Any]:
    """One asks, another works beside it."""
    builder = _builder(version, "a")

    def ask(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
        answer = interrupt("which?")
        return _write("ask", runtime, version, 5, answer=answer)

    builder.add_node("ask", ask)
    builder.add_edge(START, "a")
    builder.add_edge(START, "ask")
    builder.add_edge(["a", "ask"], END)
    return builder


def _beside_a(builder: StateGraph[Any, Any, Any, Any], name: str) -> StateGraph[Any, Any, Any, Any]:
    """A node that runs beside `a`; `b` waits for both."""
    builder.add_edge(START, name)
    builder.add_edge(START, "a")
    builder.add_edge(["a", name], "b")
    builder.add_edge("b", END)
    return builder


_AGAIN = RetryPolicy(initial_interval=0.03, max_attempts=ATTEMPTS, jitter=False, retry_on=Failure)


def _fail_at_first(runtime: Runtime[Any], version: int) -> None:
    info = runtime.execution_info
    attempt = info.node_attempt if info is not None else 1
    _On.stage.execute(f"attempt {attempt}", runtime, version)
    if attempt < ATTEMPTS:
        raise Failure(f"attempt {attempt}")


def _flaky(version: int) -> StateGraph[Any, Any, Any, Any]:
    """One fails until its last attempt, another works beside it."""
    builder = _builder(version, "ab")

    def flaky(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
        _fail_at_first(runtime, version)
        return _write("flaky", runtime, version, 5)

    builder.add_node("flaky", flaky, retry_policy=_AGAIN)
    return _beside_a(builder, "flaky")


def _flock(version: int) -> StateGraph[Any, Any, Any, Any]:
    """Three at once, each of which fails until its last attempt."""
    builder = _builder(version, "a")

    def work(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
        _fail_at_first(runtime, version)
        return _write("work", runtime, version, 10 ** state["n"])

    builder.add_node("work", work, retry_policy=_AGAIN)
    builder.add_edge(START, "a")
    builder.add_conditional_edges("a", lambda state: [Send("work", {"n": n}) for n in range(3)], ["work"])
    builder.add_edge("work", END)
    return builder


def _steer(version: int) -> StateGraph[Any, Any, Any, Any]:
    """As `ask`; whoever answers may change the state, and send it to a node that nothing else leads to."""
    builder = _builder(version, "abcs")

    def ask(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
        answer = interrupt("which?")
        return _write("ask", runtime, version, 5, answer=answer)

    builder.add_node("ask", ask)
    builder.add_edge(START, "a")
    builder.add_edge(START, "ask")
    builder.add_conditional_edges("a", lambda state: END, ["s", END])
    for early, late in pairwise(("ask", "b", "c", END)):
        builder.add_edge(early, late)
    builder.add_edge("s", END)
    return builder


def _broken(version: int) -> StateGraph[Any, Any, Any, Any]:
    """One fails until somebody repairs what it needs, another works beside it."""
    builder = _builder(version, "a")

    def broken(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
        info = runtime.execution_info
        if not _On.stage.healed((info.run_id if info is not None else "") or ""):
            _On.stage.execute("fails", runtime, version)
            raise Failure("not repaired yet")
        return _write("broken", runtime, version, 5)

    builder.add_node("broken", broken)
    builder.add_edge(START, "a")
    builder.add_edge(START, "broken")
    builder.add_edge(["a", "broken"], END)
    return builder


def _nested(version: int) -> StateGraph[Any, Any, Any, Any]:
    inner = _builder(version, "ab")
    inner.add_edge(START, "a")
    inner.add_edge("a", "b")
    inner.add_edge("b", END)
    compiled = inner.compile(name="inner")

    def call(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
        inside = compiled.invoke({"total": 0, "fold": 0, "trace": []})
        return {key: inside[key] for key in ("total", "fold", "trace")}

    builder = _builder(version, "c")
    builder.add_node("call", call)
    builder.add_edge(START, "call")
    builder.add_edge("call", "c")
    builder.add_edge("c", END)
    return builder


def _poison(version: int) -> StateGraph[Any, Any, Any, Any]:
    """The middle one kills its process wherever the input says so."""
    builder = _builder(version, "ac")

    def poison(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
        written = _write("poison", runtime, version, 5)
        if state.get("n"):
            _On.stage.die()
        return written

    builder.add_node("poison", poison)
    builder.add_edge(START, "a")
    builder.add_edge("a", "poison")
    builder.add_edge("poison", "c")
    builder.add_edge("c", END)
    return builder


def _effect(version: int) -> StateGraph[Any, Any, Any, Any]:
    builder = _builder(version, "a")

    def effect(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
        number = runtime.once("deed", lambda: _On.stage.effect(f"{runtime.idempotency_key}/deed"))
        return _write("effect", runtime, version, 5, deed=number)

    builder.add_node("effect", effect)
    builder.add_edge(START, "effect")
    builder.add_edge("effect", "a")
    builder.add_edge("a", END)
    return builder


def _nap(version: int) -> StateGraph[Any, Any, Any, Any]:
    """One sleeps, another works beside it."""
    builder = _builder(version, "ab")

    def nap(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
        runtime.sleep(_On.stage.nap(runtime.idempotency_key))
        _On.stage.awake(runtime.idempotency_key)
        return _write("nap", runtime, version, 5)

    builder.add_node("nap", nap)
    return _beside_a(builder, "nap")


def _limited(version: int) -> StateGraph[Any, Any, Any, Any]:
    """One has a time limit, and is tried again when it was too slow; another works beside it."""
    builder = _builder(version, "ab")

    def limited(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
        return _write("limited", runtime, version, 5)

    policy = RetryPolicy(initial_interval=0.03, max_attempts=2, jitter=False)
    limit = None if version == IN_PROCESS else LIMIT_SECONDS
    builder.add_node("limited", limited, retry_policy=policy, timeout=limit, placement="spread")
    return _beside_a(builder, "limited")


_BUILDERS: dict[str, Callable[[int], StateGraph[Any, Any, Any, Any]]] = {
    "chain": _chain,
    "fan": _fan,
    "join": _join,
    "sends": _sends,
    "loop": _loop,
    "ask": _ask,
    "flaky": _flaky,
    "broken": _broken,
    "nested": _nested,
    "poison": _poison,
    "effect": _effect,
    "nap": _nap,
    "limited": _limited,
    "flock": _flock,
    "steer": _steer,
}
#: The graphs by name.
NAMES = tuple(_BUILDERS)
#: Graphs that have a second version, which some workers serve.
CHANGED = ("chain",)


@cache
def graph(name: str, version: int = 1) -> Any:
    """The compiled graph of that name."""
    return _BUILDERS[name](version).compile(name=name)


def given(total: int, *, deadly: bool = False) -> dict[str, Any]:
    """The input of a run or item."""
    return {"total": total, **({"n": 1} if deadly else {})}


def command(answer: str | None) -> Command[Any]:
    """What changes the state of a run that waits for an answer (and goes to another node), or has failed (None)."""
    change = {"total": 1000, "fold": 9, "trace": [[TOLD, 0, ""]]}
    return Command(update=change) if answer is None else Command(resume=answer, update=change, goto="s")


@cache
def expected_told(name: str, total: int, answer: str, times: int) -> tuple[Any, ...]:
    """``expected`` of a run that is given ``command`` so many times: an answer, or while it cannot but fail."""
    here = _Here()
    before, _On.stage = _On.stage, here
    try:
        compiled = _compiled_here(name)
        config: Any = {"configurable": {"thread_id": f"thread {next(_threads)}"}}
        here.well = name != "broken"
        state = _until_it_fails(partial(compiled.invoke, given(total), config))
        for _ in range(times):
            state = _until_it_fails(partial(compiled.invoke, command(answer or None), config))
        here.well = True
        return shown(state if state is not None else compiled.invoke(None, config))
    finally:
        _On.stage = before


#: Numbers of the threads in this process.
_threads = count()


@cache
def _compiled_here(name: str) -> Any:
    return _BUILDERS[name](IN_PROCESS).compile(name=name, checkpointer=InMemorySaver())


def _until_it_fails(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except Failure:
        return None


@cache
def expected(name: str, total: int, times: int = 1, answer: str = "") -> tuple[Any, ...]:
    """What ``shown`` gives of the final state, after so many runs on one thread, computed in this process."""
    before, _On.stage = _On.stage, _Here()
    try:
        compiled = _compiled_here(name)
        config: Any = {"configurable": {"thread_id": f"thread {next(_threads)}"}}
        for _ in range(times):
            state = compiled.invoke(given(total), config)
            if "__interrupt__" in state:
                state = compiled.invoke(Command(resume=answer), config)
        return shown(state)
    finally:
        _On.stage = before


def shown(state: Any) -> tuple[Any, ...]:
    """A final state without the numbers of executions, to be compared."""
    names = tuple(entry[0] for entry in state.get("trace", ()))
    return (state.get("total"), state.get("fold"), names, state.get("round"), state.get("answer"))


def numbers(state: Any) -> Sequence[tuple[str, int, str]]:
    """(node, number, idempotency key) of the executions that a final state came from."""
    return [(node, number, key) for node, number, key in state.get("trace", ()) if node != TOLD]
