"""What people get wrong, and what each of them gets: building, configuring, returning.

Two tiers. What silently loses work, or cannot run, is always an error. What runs, but probably not as meant, warns with
a code, and is refused with ``strict=True``. The numbers are those of the list the cases were taken from.
"""

from __future__ import annotations

import operator
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypedDict

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.errors import CodecError, DistgraphError
from distgraph.graph import END, START, StateGraph
from distgraph.types import Command, RetryPolicy, Send, TimeoutPolicy

pytestmark = pytest.mark.acceptance


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[Any], operator.add]


def same(state: State) -> Any:
    return None


def twice(state: State) -> Any:
    return {"n": 2}


def builder(**nodes: Any) -> Any:
    """A graph whose nodes all start at once."""
    made = StateGraph(State)
    for name, node in (nodes or {"a": same}).items():
        made.add_node(name, node).add_edge(START, name)
    return made


def compiled(*, strict: bool = False, **nodes: Any) -> Any:
    return builder(**nodes).compile(strict=strict)


def invoke(given: Any = None, config: Any = None, *, saver: bool = False, **options: Any) -> Any:
    graph = builder().compile(checkpointer=InMemorySaver() if saver else None)
    return graph.invoke({"n": 1} if given is None else given, config, **options)


def returns(value: Any) -> Callable[[], Any]:
    """A run whose only node returns ``value``, on a thread that is stored."""
    return lambda: builder(a=lambda state: value).compile(checkpointer=InMemorySaver()).invoke({"n": 1}, ON)


def routes(value: Any, path_map: Any = None) -> Callable[[], Any]:
    return lambda: builder().add_conditional_edges("a", lambda state: value, path_map).compile().invoke({"n": 1})


def raises(exc: BaseException) -> Callable[[], Any]:
    def node(state: State) -> Any:
        raise exc

    return lambda: compiled(a=node).invoke({"n": 1})


ON: Any = {"configurable": {"thread_id": "t"}}


def on(thread_id: Any) -> Callable[[], Any]:
    return lambda: invoke(config={"configurable": {"thread_id": thread_id}}, saver=True)


def cycle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


def deep(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


# ------------------------------------------------------------ always an error: number, what is done, what it says

ERRORS: dict[str, tuple[Callable[[], Any], type[BaseException], str]] = {
    # A: building
    "1 no nodes": (lambda: StateGraph(State).compile(), ValueError, "no-entry"),
    "2 no edge from START": (lambda: StateGraph(State).add_node("a", same).compile(), ValueError, "no-entry"),
    "3 a name twice": (lambda: builder().add_node("a", same), ValueError, "already present, declared at"),
    "6 a bar in a name": (lambda: builder().add_node("a|b", same), ValueError, "reserved character"),
    "6 a colon in a name": (lambda: builder().add_node("a:b", same), ValueError, "reserved character"),
    "8 the name of START": (lambda: builder().add_node(START, same), ValueError, "reserved"),
    "8 the name of END": (lambda: builder().add_node(END, same), ValueError, "reserved"),
    "8 a name of the engine's": (lambda: compiled(__input__=same), ValueError, "reserved"),
    "9 a number for a name": (lambda: builder().add_node(3, same), TypeError, "name must be a str"),
    "12 a node that cannot be called": (lambda: builder().add_node("b", 3), TypeError, "cannot be called"),
    "12 a node without action": (lambda: builder().add_node("b"), ValueError, "nothing to call"),
    "17 an edge to nowhere": (lambda: builder().add_edge("a", "aa").compile(), ValueError, "Did you mean 'a'"),
    "18 an edge from nowhere": (
        lambda: builder().add_edge("aa", "a").compile(),
        ValueError,
        "starting at unknown node",
    ),
    "19 an edge from END": (lambda: builder().add_edge(END, "a"), ValueError, "END cannot be a start node"),
    "19 an edge into START": (lambda: builder().add_edge("a", START), ValueError, "START cannot be an end node"),
    "23 a mapping to nowhere": (
        lambda: builder().add_conditional_edges("a", same, {"x": "b"}).compile(),
        ValueError,
        "found unknown target 'b'",
    ),
    "25 a conditional edge twice": (
        lambda: builder().add_conditional_edges("a", same).add_conditional_edges("a", same),
        ValueError,
        "already exists for node `a`",
    ),
    "26 a dict as schema": (lambda: StateGraph({"n": int}), TypeError, "must be a type"),
    "26 a list as schema": (lambda: StateGraph(["n"]), TypeError, "must be a type"),
    "27 a reducer of three values": (lambda: StateGraph(three_values()), ValueError, "Invalid reducer signature"),
    "30 two reducers for a key": (
        lambda: StateGraph(State, input_schema=other_reducer()),
        ValueError,
        "already exists with a different type",
    ),
    "31 a breakpoint nowhere": (lambda: builder().compile(interrupt_before=["b"]), ValueError, "`b` not found"),
    # B: running
    "35 a misspelt key": (lambda: invoke(config={"recursion_limt": 5}), ValueError, "Did you mean 'recursion_limit'"),
    "35 configurable misspelt": (
        lambda: invoke(config={"configurabel": {}}),
        ValueError,
        "Did you mean 'configurable'",
    ),
    "35 a thread misspelt": (
        lambda: invoke(config={"configurable": {"thred_id": "t"}}, saver=True),
        ValueError,
        "Is 'thred_id' meant to be 'thread_id'",
    ),
    "36 no supersteps": (lambda: invoke(config={"recursion_limit": 0}), ValueError, "at least 1"),
    "36 fewer than none": (lambda: invoke(config={"recursion_limit": -1}), ValueError, "at least 1"),
    "37 a text": (lambda: invoke(config={"recursion_limit": "5"}), ValueError, "must be an int"),
    "37 a fraction": (lambda: invoke(config={"recursion_limit": 5.0}), ValueError, "must be an int"),
    "37 a bool": (lambda: invoke(config={"recursion_limit": True}), ValueError, "must be an int"),
    "38 no thread": (lambda: invoke(saver=True), ValueError, "requires one or more"),
    "39 None for a thread": (on(None), ValueError, "requires one or more"),
    "40 an empty thread": (on(""), ValueError, "1 to 512 bytes"),
    "45 bytes for a thread": (on(b"t"), ValueError, "must be a text, got bytes"),
    "43 a long thread": (on("x" * 513), ValueError, "1 to 512 bytes"),
    "44 half a character": (on("\ud800"), ValueError, "lone surrogate"),
    "46 an unknown stream mode": (lambda: [*compiled().stream({"n": 1}, stream_mode="value")], ValueError, "'values'"),
    "47 an unknown durability": (lambda: invoke(durability="always"), ValueError, "Unknown durability"),
    "48 a checkpoint that is not there": (
        lambda: resumed(None, checkpoint_id="1" * 36),
        ValueError,
        "has no checkpoint",
    ),
    "49 a checkpoint of another thread": (lambda: elsewhere(), ValueError, "Thread 'other' has no checkpoint"),
    "50 a thread that never ran": (lambda: resumed(None), ValueError, "nothing to resume"),
    "55 no input": (lambda: compiled().invoke(None), ValueError, "no input"),
    "58 a list as input": (lambda: invoke([1]), ValueError, r"Expected dict, got \[1\] .list. as the input"),
    "58 a text as input": (lambda: invoke("text"), ValueError, "Expected dict, got 'text' .str. as the input"),
    "60 no time": (lambda: builder().add_node("b", same, timeout=0), ValueError, "greater than 0"),
    "60 endless time": (lambda: TimeoutPolicy.coerce(float("inf")), ValueError, "finite"),
    "60 time as text": (lambda: TimeoutPolicy.coerce("10s"), TypeError, "seconds or a timedelta"),
    "63 a queue with a space": (lambda: builder().add_node("b", same, queue="a b"), ValueError, "no queue name"),
    "63 a long queue": (lambda: builder().add_node("b", same, queue="q" * 201), ValueError, "no queue name"),
    # C: what nodes return
    "67 a list": (returns([1]), ValueError, "Expected dict"),
    "67 a text": (returns("text"), ValueError, "Expected dict"),
    "67 a number": (returns(3), ValueError, "Expected dict"),
    "71 two writers": (lambda: compiled(a=twice, b=twice).invoke({"n": 1}), ValueError, "only one value per step"),
    "72 a reducer that fails": (returns({"log": 3}), TypeError, "can only concatenate"),
    "73 a reducer without a result": (lambda: reduced_by(lambda a, b: NotImplemented), CodecError, "not storable"),
    "75 a way to nowhere": (routes("b"), ValueError, "unknown node 'b'"),
    "76 a way to None": (routes(None), ValueError, "valid destination"),
    "77 a result without a way": (routes("z", {"x": "a"}), KeyError, "It has: 'x'"),
    "79 a Send to nowhere": (routes([Send("b", {})]), ValueError, "unknown node 'b'"),
    "79 a Send to END": (routes([Send(END, {})]), ValueError, "Cannot send a packet to the END node"),
    "80 a Command to nowhere": (returns(Command(goto="b")), ValueError, "unknown node 'b'"),
    "83 no end": (
        lambda: builder().add_edge("a", "a").compile().invoke({"n": 1}, {"recursion_limit": 5}),
        RecursionError,
        "next would be a",
    ),
    "84 a function": (returns({"log": [same]}), CodecError, "not storable"),
    "84 a lock": (returns({"log": [threading.Lock()]}), CodecError, "not storable"),
    "84 a generator": (returns({"log": [iter(())]}), CodecError, "not storable"),
    "84 a module": (returns({"log": [operator]}), CodecError, "not storable"),
    "85 a circle": (returns({"log": [cycle()]}), CodecError, "contains itself|deep"),
    "86 too deep": (returns({"log": [deep(80)]}), CodecError, "deep"),
    "87 a huge number": (returns({"n": 1 << 5000}), CodecError, "4,?096"),
    "89 half a character": (returns({"log": ["\ud800"]}), CodecError, "surrogate"),
    "92 an exit": (raises(SystemExit(3)), SystemExit, "3"),
    "92 an interruption": (raises(KeyboardInterrupt()), KeyboardInterrupt, ""),
    "92 too much memory": (raises(MemoryError()), MemoryError, ""),
    "92 a recursion": (raises(RecursionError("deep")), RecursionError, "deep"),
}


def validating() -> Any:
    """A graph whose state is a pydantic model."""
    from pydantic import create_model

    schema = create_model("Checked", n=(int, ...))
    return StateGraph(schema).add_node("a", lambda state: None).add_edge(START, "a").compile()


def reduced_by(reducer: Callable[[Any, Any], Any]) -> Any:
    """Every state of a run whose key has this reducer, the latest first."""
    schema: Any = TypedDict("schema", {"log": Annotated[list[Any], reducer]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = StateGraph(schema).add_node("a", lambda state: {"log": [1]}).add_edge(START, "a")
        app = graph.compile(checkpointer=InMemorySaver())
    app.invoke({"log": [0]}, ON)
    return [state.values["log"] for state in app.get_state_history(ON)]


def three_values() -> Any:
    def reduce(a: int, b: int, c: int) -> int:
        return a

    return TypedDict("Three", {"n": Annotated[int, reduce]})  # type: ignore[operator]


def other_reducer() -> Any:
    return TypedDict("Other", {"log": Annotated[list[Any], operator.concat]})  # type: ignore[operator]


def resumed(answer: Any, **more: Any) -> Any:
    where: Any = {"configurable": {**ON["configurable"], **more}}
    return builder().compile(checkpointer=InMemorySaver()).invoke(answer, where)


def elsewhere() -> Any:
    """A checkpoint of one thread, asked for in another."""
    graph = builder().compile(checkpointer=InMemorySaver())
    graph.invoke({"n": 1}, ON)
    found = graph.get_state(ON).config["configurable"]["checkpoint_id"]
    return graph.invoke(None, {"configurable": {"thread_id": "other", "checkpoint_id": found}})


@pytest.mark.parametrize("case", ERRORS)
def test_what_is_always_an_error(case: str) -> None:
    call, kind, text = ERRORS[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(kind, match=text) as caught:
            call()
    if not isinstance(caught.value, KeyError | TypeError) and isinstance(caught.value, ValueError):
        assert isinstance(caught.value, DistgraphError)


# ------------------------------------------------------------ a warning, and an error when strict


def generator(state: State) -> Iterator[Any]:
    yield {"n": 1}


def nothing() -> Any:
    return None


LINTS: dict[str, tuple[Callable[[], Any], str]] = {
    "4 an empty name": (lambda: builder(**{"": same}), "node-name-unusual"),
    "5 a padded name": (lambda: builder(**{" a ": same}), "node-name-unusual"),
    "5 a blank name": (lambda: builder(**{" ": same}), "node-name-unusual"),
    "6 a brace in a name": (lambda: builder(**{"{a}": same}), "node-name-unusual"),
    "6 a star in a name": (lambda: builder(**{"a*": same}), "node-name-unusual"),
    "6 a line break in a name": (lambda: builder(**{"a\n": same}), "node-name-unusual"),
    "7 a long name": (lambda: builder(**{"x" * 257: same}), "node-name-unusual"),
    "10 names that look alike": (lambda: builder(**{"\u00e9": same, "e\u0301": same}), "node-name-lookalike"),
    "11 a name of a key": (lambda: builder(n=same), "node-named-like-key"),
    "15 a generator": (lambda: builder(a=generator), "generator-node"),
    "16 a node without parameter": (lambda: builder(a=nothing), "node-arity"),
    "20 an edge twice": (lambda: builder().add_edge(START, "a"), "duplicate-edge"),
    "21 a node nobody reaches": (lambda: builder().add_node("b", same), "unreachable-node"),
    "22 a loop without end": (lambda: builder().add_edge("a", "a"), "endless-loop"),
    "24 an empty mapping": (lambda: builder().add_conditional_edges("a", lambda state: "a", {}), "empty-path-map"),
    "28 a nameless reducer": (lambda: nameless(), "lambda-reducer"),
    "61 no attempts": (lambda: tried_again(max_attempts=0), "odd-retry-policy"),
    "61 fewer attempts than none": (lambda: tried_again(max_attempts=-3), "odd-retry-policy"),
    "61 a bool for attempts": (lambda: tried_again(max_attempts=True), "odd-retry-policy"),
    "62 waits that get shorter": (lambda: tried_again(backoff_factor=0.5), "odd-retry-policy"),
    "62 a factor that is no number": (lambda: tried_again(backoff_factor=float("nan")), "odd-retry-policy"),
    "62 a negative wait": (lambda: tried_again(initial_interval=-1), "odd-retry-policy"),
    "62 a number for jitter": (lambda: tried_again(jitter=1.5), "odd-retry-policy"),
}


def tried_again(**numbers: Any) -> Any:
    """A graph whose node has such a retry policy, and one that is as it should be."""
    policies = [RetryPolicy(max_attempts=1), RetryPolicy(**numbers)]
    return StateGraph(State).add_node("a", same, retry_policy=policies).add_edge(START, "a")


def nameless() -> Any:
    class Nameless(TypedDict):
        log: Annotated[list[Any], lambda a, b: a + b]

    return StateGraph(Nameless).add_node("a", lambda state: None).add_edge(START, "a")


@pytest.mark.parametrize("case", LINTS)
def test_what_warns_and_is_refused_when_strict(case: str) -> None:
    make, code = LINTS[case]
    with pytest.warns(UserWarning, match=f"{code}: "):
        make().compile()
    with pytest.raises(ValueError, match=f"{code}: "):
        make().compile(strict=True)


def test_34_a_builder_that_is_changed_later_leaves_its_graphs_alone() -> None:
    made = builder()
    graph = made.compile()
    with pytest.warns(UserWarning, match="changed-after-compile: "):
        made.add_node("b", same)
    assert "b" not in graph.nodes


def test_69_a_key_nobody_declared_is_dropped_with_a_warning_and_refused_when_strict() -> None:
    unknown = {"nn": 1}
    with pytest.warns(UserWarning, match="unknown-key: .* Did you mean 'n'"):
        assert compiled(a=lambda state: unknown).invoke({"n": 1}) == {"n": 1, "log": []}
    with pytest.raises(ValueError, match="unknown-key: "):
        compiled(a=lambda state: unknown, strict=True).invoke({"n": 1})


@pytest.mark.parametrize("key", ["recursion_limit", "max_concurrency"])
def test_35_a_key_of_the_config_inside_configurable_warns(key: str) -> None:
    with pytest.warns(UserWarning, match=f"misplaced-key: '{key}' stands inside"):
        invoke(config={"configurable": {key: 5}})


def test_56_an_input_of_unknown_keys_warns() -> None:
    with pytest.warns(UserWarning, match="unknown-key: The input has 'nn'.* Did you mean 'n'"):
        invoke({"nn": 1})


def test_70_a_key_that_is_no_text_warns() -> None:
    with pytest.warns(UserWarning, match="unknown-key: Node 'a' wrote 1"):
        compiled(a=lambda state: {1: 2}).invoke({"n": 1})


def test_59_a_value_that_a_validating_schema_refuses() -> None:
    """As the schema's own library says it: with the path, and its own class."""
    with pytest.raises(ValueError, match=r"\nn\n.*valid integer"):
        validating().invoke({"n": "x"})


# ------------------------------------------------------------ what is fine


def test_57_an_empty_input_starts_a_run() -> None:
    assert compiled(a=twice).invoke({}) == {"n": 2, "log": []}


def test_51_a_run_that_has_ended_tells_its_result_again() -> None:
    graph = builder(a=twice).compile(checkpointer=InMemorySaver())
    assert graph.invoke({"n": 1}, ON) == graph.invoke(None, ON)


def test_74_a_reducer_that_changes_its_left_argument_changes_no_state_before() -> None:
    def extending(before: list[Any], more: list[Any]) -> list[Any]:
        before.extend(more)
        return before

    assert reduced_by(extending) == [[0, 1], [0], []]


def test_32_a_graph_inside_itself_is_the_graph_as_it_was() -> None:
    """So there is no circle: what compile() gave does not grow with its builder."""
    made = builder(a=twice)
    inner = made.compile()
    with pytest.warns(UserWarning, match="changed-after-compile"):
        made.add_node("again", inner).add_edge("a", "again")
    assert made.compile().invoke({"n": 1})["n"] == 2
    assert "again" not in inner.nodes


def test_41_a_number_is_a_thread_by_its_text() -> None:
    graph = builder().compile(checkpointer=InMemorySaver())
    graph.invoke({"n": 1}, {"configurable": {"thread_id": 7}})
    assert graph.get_state({"configurable": {"thread_id": "7"}}).values["n"] == 1


def test_42_signs_in_a_thread_are_signs() -> None:
    saver = InMemorySaver()
    graph = builder().compile(checkpointer=saver)
    names = ["a:b", "a|b", "a*", "{a}", "a\n", "../a", "a/b"]
    for number, name in enumerate(names):
        graph.invoke({"n": number}, {"configurable": {"thread_id": name}})
    for number, name in enumerate(names):
        assert graph.get_state({"configurable": {"thread_id": name}}).values["n"] == number


def test_29_a_default_is_not_shared() -> None:
    graph = compiled(a=lambda state: {"log": ["x"]})
    assert [graph.invoke({"n": 1})["log"] for _ in range(2)] == [["x"], ["x"]]


def test_68_none_changes_nothing_and_82_no_sends_are_no_tasks() -> None:
    assert compiled(a=lambda state: None).invoke({"n": 1}) == {"n": 1, "log": []}
    assert routes([])() == {"n": 1, "log": []}


def test_78_names_and_sends_may_be_mixed() -> None:
    graph = (
        builder()
        .add_node("b", lambda state: {"log": [state["n"]]})
        .add_conditional_edges("a", lambda state: ["b", Send("b", {"n": 5})])
        .compile()
    )
    assert graph.invoke({"n": 1})["log"] == [1, 5]


@pytest.mark.parametrize("value", [1 << 70, -(1 << 70), 1 << 4000, float("inf")])
def test_87_88_numbers_come_back_as_they_were(value: Any) -> None:
    assert returns({"n": value})()["n"] == value


def test_61_62_a_policy_that_never_tries_again() -> None:
    policy = RetryPolicy(max_attempts=1)
    graph = StateGraph(State).add_node("a", same, retry_policy=policy).add_edge(START, "a").compile()
    assert graph.invoke({"n": 1})["n"] == 1


class Stubborn(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def test_91_a_failure_without_a_text_is_still_that_failure() -> None:
    with pytest.raises(Stubborn):
        builder(a=raiser).compile(checkpointer=InMemorySaver()).invoke({"n": 1}, ON)


def raiser(state: State) -> Any:
    raise Stubborn
