"""Graphs in this process with their checkpoints on a server: survival, cost, types, connections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

import pytest
import redis

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.checkpoint.redis import RedisSaver
from distgraph.errors import ConfigError, ServerUnreachableError, TamperedDataError, UntrustedTypeError
from distgraph.graph import END, START, StateGraph
from distgraph.ledger.connection import connect
from distgraph.ledger.keys import Keys
from distgraph.types import Command
from distgraph.wire import Codec
from tests.graphs.plans import plan
from tests.graphs.random_graphs import build, distgraph_api, inputs
from tests.integration.saver_graph import CONFIG, State, ask, graph, line_key, opened, pend_key, saved
from tests.servers import free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def saver(redis_url: str, namespace: str) -> Iterator[RedisSaver]:
    with opened(redis_url, namespace) as saver:
        yield saver


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with connect(redis_url) as client:
        yield client


# ------------------------------------------------------------------ a thread outlives its process


def test_another_process_answers_the_question(saver: RedisSaver, redis_url: str, namespace: str) -> None:
    """What a process needs of the thread is on the server: another saver, another graph object go on with it."""
    asked = graph(saver).invoke({"x": 1}, CONFIG)
    assert asked["__interrupt__"][0].value == "well?"
    with RedisSaver.from_conn_string(redis_url, namespace=namespace) as other:
        again = graph(other)
        assert again.get_state(CONFIG).next == ("ask",)
        assert again.get_state(CONFIG).interrupts[0].value == "well?"
        assert again.invoke(Command(resume="fine"), CONFIG) == {"x": 2, "log": ["count", "fine", "beside", 0, 1, 2]}
    assert graph(saver).get_state(CONFIG).next == ()


def test_what_finished_beside_a_question_is_not_run_again(saver: RedisSaver) -> None:
    runs: list[str] = []

    def noted(state: State) -> State:
        runs.append("noted")
        return {"log": ["noted"]}

    builder = StateGraph(State).add_node(ask).add_node(noted)
    builder.add_edge(START, "ask").add_edge(START, "noted")
    built = builder.compile(checkpointer=saver)
    built.invoke({"x": 1}, CONFIG)
    assert built.invoke(Command(resume="fine"), CONFIG)["log"] == ["fine", "noted"]
    assert runs == ["noted"]


def test_history_shows_what_memory_shows(saver: RedisSaver) -> None:
    """The whole history of a thread with a question, an answer and a fan-out: as the saver in memory has it."""

    def history(kept: Any) -> list[Any]:
        built = graph(kept)
        built.invoke({"x": 1}, CONFIG)
        built.invoke(Command(resume="fine"), CONFIG)
        return [
            (one.values, one.next, one.metadata, [(task.name, task.result) for task in one.tasks])
            for one in built.get_state_history(CONFIG)
        ]

    assert history(saver) == history(InMemorySaver())


@pytest.mark.parametrize("seed", range(8))
def test_random_graphs_have_the_history_that_they_have_in_memory(saver: RedisSaver, seed: int) -> None:
    """Fan-out, joins, loops, Commands: every state, every task's result, whatever keeps them."""

    def history(kept: Any) -> list[Any]:
        built = build(plan(seed), distgraph_api()).compile(checkpointer=kept)
        built.invoke(inputs(seed), CONFIG)
        return [
            (one.values, one.next, one.metadata, [(task.name, task.path, task.result) for task in one.tasks])
            for one in built.get_state_history(CONFIG)
        ]

    assert history(saver) == history(InMemorySaver())


def test_time_travel_leaves_the_past_as_it_was(saver: RedisSaver) -> None:
    built = graph(saver)
    built.invoke({"x": 1}, CONFIG)
    built.invoke(Command(resume="fine"), CONFIG)
    before = [one.values for one in built.get_state_history(CONFIG)]
    past = next(one for one in built.get_state_history(CONFIG) if one.next == ("ask", "beside"))
    replayed = built.invoke(None, past.config)
    assert replayed["__interrupt__"][0].value == "well?"
    assert built.invoke(Command(resume="other"), CONFIG)["log"] == ["count", "other", "beside", 0, 1, 2]
    assert [one.values for one in built.get_state_history(CONFIG)][-len(before) :] == before


def test_update_state_forks_and_goes_on(saver: RedisSaver) -> None:
    built = graph(saver)
    built.invoke({"x": 1}, CONFIG)
    past = next(one for one in built.get_state_history(CONFIG) if one.next == ("count",))
    forked = built.update_state(past.config, {"x": 40})
    assert built.invoke(None, forked)["x"] == 41
    assert built.get_state(CONFIG).values["x"] == 41


def test_nested_graphs_have_lines_of_their_own_that_go_with_the_thread(
    saver: RedisSaver, client: Any, namespace: str
) -> None:
    inner = StateGraph(State).add_node(ask).add_edge(START, "ask").compile()
    builder = StateGraph(State).add_node("inner", inner).add_edge(START, "inner")
    built = builder.compile(checkpointer=saver)
    built.invoke({"x": 1}, CONFIG)
    (task,) = built.get_state(CONFIG, subgraphs=True).tasks
    assert task.state.values == {"x": 1, "log": []}
    assert client.scard(Keys(namespace).of("t", "nested", "t")) == 1
    assert built.invoke(Command(resume="fine"), CONFIG)["log"] == ["fine"]
    saver.delete_thread("t")
    assert [*client.scan_iter(match=f"*{namespace}*", count=1000)] == []


# ------------------------------------------------------------------ what it costs


def test_a_superstep_sends_only_what_it_changed(saver: RedisSaver, client: Any, namespace: str) -> None:
    """A large value that no node touches crosses the network once, and is stored once, however long the thread."""

    class Heavy(TypedDict):
        big: bytes
        x: int

    def step(state: Heavy) -> Any:
        return {"x": state["x"] + 1}

    builder = StateGraph(Heavy)
    builder.add_node("step", step).add_edge(START, "step")
    builder.add_conditional_edges("step", lambda state: END if state["x"] >= 50 else "step", [END, "step"])
    config: Any = {**CONFIG, "recursion_limit": 60}
    before = client.info("stats")["total_net_input_bytes"]
    builder.compile(checkpointer=saver).invoke({"big": bytes(100_000), "x": 0}, config)
    sent = client.info("stats")["total_net_input_bytes"] - before
    # once as the input's write, once as the state's value; the rest is small change
    assert sent < 4 * 100_000 + 52 * 3_000
    fields = [name for name in client.hkeys(line_key(namespace)) if name.startswith(b"v:big@")]
    assert len(fields) == 1


def test_writes_travel_with_the_checkpoint_that_follows_them(saver: RedisSaver, client: Any) -> None:
    """However many tasks a superstep had: its writes and the next checkpoint are one script call, in one message."""
    memory = InMemorySaver()
    graph(memory).invoke({"x": 1}, CONFIG)
    first = memory.get_tuple(CONFIG)
    assert first is not None
    config = first.config
    after = {**first.checkpoint, "id": first.checkpoint["id"] + "1"}
    saver.setup()

    def scripts() -> int:
        calls: int = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
        return calls

    before = scripts()
    saver.put_all(
        [
            ("put", (CONFIG, first.checkpoint, first.metadata, first.checkpoint["channel_versions"])),
            *(("put_writes", (config, [("x", n)], f"task-{n}", f"{n}")) for n in range(5)),
            ("put", (config, after, first.metadata, {})),
        ]
    )
    assert scripts() - before == 2
    assert [value for _, _, value in saved(saver, config).pending_writes or ()] == [0, 1, 2, 3, 4]
    assert saved(saver).checkpoint["id"] == after["id"]


def test_the_pending_writes_of_a_checkpoint_are_found_without_those_of_the_others(
    saver: RedisSaver, client: Any, namespace: str
) -> None:
    """Going on with a thread costs the same after ten supersteps and after a thousand."""
    built = graph(saver)
    built.invoke({"x": 1}, CONFIG)

    def commands() -> int:
        saver.get_tuple(CONFIG)  # connections are there now
        before = client.info("commandstats")
        saver.get_tuple(CONFIG)
        after = client.info("commandstats")
        touched = {
            name: stat["calls"] - before.get(name, {"calls": 0})["calls"]
            for name, stat in after.items()
            if name not in ("cmdstat_info",)
        }
        assert "cmdstat_hscan" not in {name for name, calls in touched.items() if calls}
        assert "cmdstat_hgetall" not in {name for name, calls in touched.items() if calls}
        return sum(touched.values())

    few = commands()
    for _ in range(20):
        built.invoke(Command(resume="fine"), CONFIG)
        built.invoke({"x": 1}, CONFIG)
    assert client.hlen(pend_key(namespace)) > 200
    assert commands() == few


# ------------------------------------------------------------------ types and secrets


@dataclass
class Order:
    name: str
    amount: int


class Shop(TypedDict):
    order: Order


def shop(saver: Any) -> Any:
    def pay(state: Shop) -> Shop:
        return {"order": Order(state["order"].name, state["order"].amount - 1)}

    return StateGraph(Shop).add_node(pay).add_edge(START, "pay").compile(checkpointer=saver)


def test_types_of_the_schema_come_back_in_another_process(saver: RedisSaver, redis_url: str, namespace: str) -> None:
    saver.with_types([Shop])
    assert shop(saver).invoke({"order": Order("tea", 3)}, CONFIG) == {"order": Order("tea", 2)}
    with RedisSaver.from_conn_string(redis_url, namespace=namespace) as other:
        with pytest.raises(UntrustedTypeError, match="Order"):
            other.get_tuple(CONFIG)
        assert other.with_types([Shop]) is other
        assert shop(other).get_state(CONFIG).values == {"order": Order("tea", 2)}


def test_a_secret_refuses_what_is_not_signed_with_it(saver: RedisSaver, redis_url: str, namespace: str) -> None:
    graph(saver).invoke({"x": 1}, CONFIG)
    with (
        RedisSaver(redis_url, namespace=namespace, codec=Codec(secret=b"s")) as signed,
        pytest.raises(TamperedDataError),
    ):
        signed.get_tuple(CONFIG)


def test_namespaces_keep_users_of_one_server_apart(saver: RedisSaver, redis_url: str) -> None:
    graph(saver).invoke({"x": 1}, CONFIG)
    with RedisSaver.from_conn_string(redis_url, namespace="another") as other:
        assert other.get_tuple(CONFIG) is None
        assert [*other.list(None)] == []


# ------------------------------------------------------------------ connections


def test_a_client_of_ones_own_stays_open(redis_url: str, namespace: str, client: Any) -> None:
    with RedisSaver(client, namespace=namespace) as saver:
        saver.setup()
        graph(saver).invoke({"x": 1}, CONFIG)
        saver.delete_thread("t")
    assert client.ping()


def test_a_client_that_decodes_is_refused(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, decode_responses=True) as decoding, pytest.raises(ConfigError, match="bytes"):
        RedisSaver(decoding)


def test_nobody_answers() -> None:
    with RedisSaver(f"redis://127.0.0.1:{free_port()}/0") as saver:
        with pytest.raises(ServerUnreachableError):
            saver.setup()
        with pytest.raises(ServerUnreachableError):
            graph(saver).invoke({"x": 1}, CONFIG)


def test_scripts_that_a_server_forgot_are_sent_again(saver: RedisSaver, client: Any) -> None:
    built = graph(saver)
    built.invoke({"x": 1}, CONFIG)
    client.script_flush()
    assert built.invoke(Command(resume="fine"), CONFIG)["log"][:2] == ["count", "fine"]
