"""Programs about single lines of behaviour that nothing larger shows."""

import asyncio
import operator
import warnings
from typing import Annotated, Any, TypedDict

from pydantic import BaseModel

from tests.differential.harness import Api, outcome

ON: Any = {"configurable": {"thread_id": "1"}}


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[str], operator.add]


def step(name: str) -> Any:
    return lambda state: {"log": [name]}


def line(api: Api, *nodes: Any, **options: Any) -> Any:
    builder = api.StateGraph(State).add_sequence([(f"n{place}", node) for place, node in enumerate(nodes)])
    return builder.add_edge(api.START, "n0").compile(checkpointer=api.InMemorySaver(), **options)


def asks(api: Api, name: str) -> Any:
    return lambda state: {"log": [f"{name}:{api.interrupt(name)}"]}


def beside(api: Api, **nodes: Any) -> Any:
    builder = api.StateGraph(State)
    for name, node in nodes.items():
        builder.add_node(name, node).add_edge(api.START, name)
    return builder.compile(checkpointer=api.InMemorySaver())


# ---------------------------------------------------------------- section 0: what the latest releases changed


def going_on_at_a_checkpoint_that_is_named(api: Api) -> Any:
    """The latest one: what had finished is handed back. One that is superseded: everything runs again."""
    ran: list[str] = []

    def quick(state: State) -> Any:
        ran.append("quick")
        return {"log": ["quick"]}

    graph = beside(api, quick=quick, slow=asks(api, "slow"))
    graph.invoke({"n": 1}, ON)
    head = graph.get_state(ON).config
    latest = graph.invoke(api.Command(resume="a"), head)
    first = list(ran)
    old = next(state.config for state in graph.get_state_history(ON) if "slow" in state.next)
    replayed = graph.invoke(None, old)
    return latest, first, replayed, ran, len(list(graph.get_state_history(ON)))


def a_command_at_an_old_checkpoint(api: Api) -> Any:
    """What it writes goes to the fork; the old checkpoint stays as it was."""
    graph = line(api, step("a"), step("b"), step("c"))
    graph.invoke({"n": 1}, ON)
    old = next(state.config for state in graph.get_state_history(ON) if state.next == ("n1",))
    done = graph.invoke(api.Command(update={"n": 9, "log": ["told"]}), old)
    return (
        done,
        graph.get_state(old).values,
        [(state.metadata["source"], state.metadata["step"], state.next) for state in graph.get_state_history(ON)],
    )


def a_drain_before_a_breakpoint(api: Api) -> Any:
    control = api.RunControl()

    def drains(state: State, runtime: Any) -> Any:
        runtime.control.request_drain("stop")
        return {"log": ["a"]}

    drains.__annotations__["runtime"] = api.Runtime
    graph = line(api, drains, step("b"), interrupt_before=["n1"])
    return (
        outcome(lambda: graph.invoke({"n": 1}, ON, control=control)),
        graph.get_state(ON).next,
        graph.invoke(None, ON),
    )


def the_last_checkpoint_is_streamed(api: Api) -> Any:
    def steps(graph: Any, **config: Any) -> Any:
        seen: list[Any] = []

        def run() -> None:
            for chunk in graph.stream({"n": 1}, {**ON, **config}, stream_mode="checkpoints"):
                seen.append((chunk["metadata"]["step"], chunk["next"]))

        return outcome(run), seen

    return (
        steps(line(api, step("a"), step("b")), recursion_limit=2),
        steps(line(api, step("a"), step("b")), recursion_limit=1),
        steps(line(api, step("a"), step("b"), interrupt_after=["n0"])),
        steps(line(api, step("a"), step("b"), interrupt_after=["n1"])),
    )


def a_failure_is_streamed_before_it_is_raised(api: Api) -> Any:
    def fails(state: State) -> Any:
        raise KeyError("x")

    seen: list[Any] = []

    def run() -> None:
        for chunk in line(api, step("a"), fails).stream({"n": 1}, ON, stream_mode="tasks"):
            seen.append((chunk["name"], repr(chunk.get("error")), chunk.get("result")))

    return outcome(run), seen


def live_and_recorded_states(api: Api) -> Any:
    """The latest state shows what has finished since; the same checkpoint by its id shows what it recorded."""
    graph = beside(api, quick=step("quick"), slow=asks(api, "slow"))
    graph.invoke({"n": 1}, ON)
    live = graph.get_state(ON)
    recorded = graph.get_state(live.config)
    return [
        (state.values, state.next, [each.value for each in state.interrupts], [task.result for task in state.tasks])
        for state in (live, recorded, next(graph.get_state_history(ON)))
    ]


def a_limit_that_is_the_default(api: Api) -> Any:
    """Given by the caller, it counts as given."""
    graph = line(api, lambda state: {"n": state["n"] + 1}).with_config({"recursion_limit": 1})
    return outcome(lambda: graph.invoke({"n": 1}, ON)), graph.invoke({"n": 1}, {**ON, "recursion_limit": 10007})


# ---------------------------------------------------------------- 1.1: building


def what_builders_show(api: Api) -> Any:
    builder = api.StateGraph(State).add_node("a", step("a")).add_node("b", step("b")).add_node("c", step("c"))
    builder.add_edge(api.START, "a").add_edge(["a", "b"], "c").add_conditional_edges("a", lambda state: "b", ["b"])
    before = builder.compiled
    builder.compile()
    return (
        list(builder.nodes),
        sorted(builder.edges),
        sorted(builder.waiting_edges),
        {name: list(branches) for name, branches in builder.branches.items()},
        sorted(builder.channels),
        sorted(builder.managed),
        [schema.__name__ for schema in builder.schemas],
        (before, builder.compiled),
    )


def channels_in_annotations(api: Api) -> Any:
    """A channel's class, or an instance anywhere in the annotation."""
    channels = api.module("channels")
    make: Any = TypedDict
    keys = {
        "once": Annotated[Any, channels.EphemeralValue],
        "loose": Annotated[int, channels.UntrackedValue(int, guard=False)],
        "some": Annotated[int, channels.AnyValue, "a remark"],
        "topic": Annotated[list[int], "a remark", channels.Topic(int, True)],
        "log": Annotated[list[str], "a remark", operator.add],
    }
    seen: list[Any] = []

    def writes(state: Any) -> Any:
        seen.append(dict(state))
        return {"once": 1, "loose": 2, "some": 3, "topic": [4, 5], "log": ["w"]}

    def reads(state: Any) -> Any:
        seen.append(dict(state))

    builder = api.StateGraph(make("state", keys, total=False))
    builder.add_sequence([("writes", writes), ("reads", reads), ("again", reads)]).add_edge(api.START, "writes")
    graph = builder.compile(checkpointer=api.InMemorySaver())
    return graph.invoke({"topic": 1, "log": []}, ON), seen, graph.get_state(ON).values


def any_annotated_class(api: Api) -> Any:
    class Plain:
        n: int
        log: Annotated[list[str], operator.add]

        def __init__(self, **values: Any) -> None:
            self.__dict__.update(values)

    seen: list[Any] = []

    def node(state: Any) -> Any:
        seen.append(state)
        return {"log": ["x"]}

    builder = api.StateGraph(Plain).add_node("node", node).add_edge(api.START, "node")
    return builder.compile().invoke({"n": 1}), seen


# ---------------------------------------------------------------- 1.2, 1.3: nodes and edges


def a_branch_is_tried_again_with_its_node(api: Api) -> Any:
    ran: list[str] = []

    def node(state: State) -> Any:
        ran.append("node")
        return {"log": ["node"]}

    def path(state: State) -> str:
        ran.append("path")
        if ran.count("path") < 3:
            raise ConnectionError
        return str(api.END)

    policy = api.RetryPolicy(initial_interval=0.001, jitter=False)
    builder = api.StateGraph(State).add_node("node", node, retry_policy=policy).add_edge(api.START, "node")
    return builder.add_conditional_edges("node", path).compile().invoke({"n": 1}), ran


def metadata_of_nodes(api: Api) -> Any:
    """In chunks about tasks, for nodes that edges wake and that a Send starts."""
    builder = api.StateGraph(State).add_node("a", step("a"), metadata={"owner": "me"})
    builder.add_node("w", lambda arg: {"log": [str(arg)]}, metadata={"owner": "you"}).add_edge(api.START, "a")
    graph = builder.add_conditional_edges("a", lambda state: [api.Send("w", 1)], ["w"]).compile()
    chunks = list(graph.stream({"n": 1}, {"tags": ["t"], "metadata": {"mine": 1}}, stream_mode="tasks"))
    return [(chunk["name"], chunk.get("metadata")) for chunk in chunks]


def defaults_are_not_for_nested_graphs(api: Api) -> Any:
    ran: list[str] = []

    def fails(state: State) -> Any:
        ran.append("fails")
        raise ConnectionError

    inner = api.StateGraph(State).add_node("fails", fails).add_edge(api.START, "fails").compile()
    builder = api.StateGraph(State).add_node("inner", inner).add_node("plain", fails)
    policy = api.RetryPolicy(initial_interval=0.001, jitter=False, max_attempts=2)
    builder.set_node_defaults(retry_policy=policy).add_edge(api.START, "inner")
    return outcome(lambda: builder.compile().invoke({"n": 1})), len(ran)


def policies_that_change_nothing(api: Api) -> Any:
    types = api.module("types")
    policy = types.TracePolicy(process_inputs=types.omit_payload)
    builder = api.StateGraph(State).add_node("a", step("a"), trace_policy=policy).add_edge(api.START, "a")
    return builder.compile().invoke({"n": 1}), types.omit_payload(5)


def a_graph_is_not_changed_by_what_comes_later(api: Api) -> Any:
    builder = api.StateGraph(State).add_node("a", step("a")).add_edge(api.START, "a")
    graph = builder.compile()
    builder.add_node("b", step("b")).add_edge("a", "b")
    return graph.invoke({"n": 1}), builder.compile().invoke({"n": 1})


# ---------------------------------------------------------------- 1.4: schemas


def schemas_of_a_graph(api: Api) -> Any:
    class Given(BaseModel):
        n: int = 1

    class Out(BaseModel):
        log: list[str]

    class Context(BaseModel):
        who: str

    builder = api.StateGraph(Given, Context, output_schema=Out).add_node("a", lambda state: None)
    builder.add_edge(api.START, "a")
    graph = builder.compile()
    return graph.get_input_jsonschema(), graph.get_output_jsonschema(), graph.get_context_jsonschema(), graph.get_name()


# ---------------------------------------------------------------- 1.7 to 1.9: running


def streams_within_a_node(api: Api) -> Any:
    """Values, where the outermost graph would give updates."""
    inner = api.StateGraph(State).add_node("x", step("x")).add_edge(api.START, "x").compile()
    seen: list[Any] = []

    def node(state: State) -> Any:
        seen.extend(inner.stream({"n": 5}))

    line(api, node).invoke({"n": 1}, ON)
    return seen, list(inner.stream({"n": 5}))


def notes_of_a_failure(api: Api) -> Any:
    def fails(state: State) -> Any:
        raise KeyError("x")

    try:
        line(api, fails).invoke({"n": 1}, ON)
    except KeyError as exc:
        return exc.__notes__


def a_limit_on_what_runs_at_a_time(api: Api) -> Any:
    """At the top of the config it counts; as a key of one's own it is one's own."""

    def most(**config: Any) -> int:
        now, peak = [], [0]

        async def node(state: State) -> None:
            now.append(1)
            peak[0] = max(peak[0], len(now))
            await asyncio.sleep(0.02)
            now.pop()

        asyncio.run(beside(api, **{name: node for name in "abcd"}).ainvoke({"n": 1}, config))
        return peak[0]

    return most(**ON, max_concurrency=2), most(configurable={"thread_id": "1", "max_concurrency": 2})


def names_of_threads_are_texts(api: Api) -> Any:
    graph = line(api, step("a"))
    graph.invoke({"n": 1}, {"configurable": {"thread_id": 7}})
    return graph.get_state({"configurable": {"thread_id": "7"}}).values, graph.get_state(
        {"configurable": {"thread_id": 7}}
    ).config


def durability_without_a_saver(api: Api) -> Any:
    graph = api.StateGraph(State).add_node("a", step("a")).add_edge(api.START, "a").compile()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [outcome(lambda mode=mode: graph.invoke({"n": 1}, durability=mode)) for mode in ("async", "exit")]  # type: ignore[misc]


# ---------------------------------------------------------------- 1.11 to 1.14: questions, states, nested graphs


def a_new_input_while_asked(api: Api) -> Any:
    graph = line(api, step("a"), asks(api, "who"))
    graph.invoke({"n": 1}, ON)
    again = graph.invoke({"n": 2}, ON)
    return again["n"], again["log"], [each.value for each in again["__interrupt__"]], graph.get_state(ON).next


def answers_to_unknown_questions(api: Api) -> Any:
    graph = line(api, asks(api, "who"))
    graph.invoke({"n": 1}, ON)
    other = graph.invoke(api.Command(resume={"0" * 32: "x"}), ON)
    plain = graph.invoke(api.Command(resume={"not an id": "x"}), ON)
    return [each.value for each in other["__interrupt__"]], plain


def a_copy_with_updates(api: Api) -> Any:
    """A fork whose tasks have come to something else."""
    builder = api.StateGraph(State).add_node("a", step("a"))
    builder.add_node("w", lambda arg: {"log": [f"w{arg}"]}).add_edge(api.START, "a")
    builder.add_conditional_edges("a", lambda state: [api.Send("w", 1), api.Send("w", 2)], ["w"])
    graph = builder.compile(checkpointer=api.InMemorySaver())
    graph.invoke({"n": 1}, ON)
    old = next(state.config for state in graph.get_state_history(ON) if state.next == ("w", "w"))
    forked = graph.update_state(old, [({"log": ["x"]}, "w"), ({"log": ["y"]}, "w")], as_node="__copy__")
    return graph.get_state(forked).values, graph.get_state(forked).next, graph.invoke(None, forked)


def an_update_where_a_join_is_complete(api: Api) -> Any:
    """Whoever is written as: the node that waits behind the join still runs."""
    made = []
    for as_node in "adce":
        builder = api.StateGraph(State)
        for name in "abcde":
            builder.add_node(name, step(name))
        builder.add_edge(api.START, "a").add_edge(api.START, "b").add_edge(["a", "b"], "c").add_edge("d", "e")
        graph = builder.compile(checkpointer=api.InMemorySaver())
        graph.invoke({"n": 1}, ON)
        before = next(state.config for state in graph.get_state_history(ON) if state.next == ("c",))
        forked = graph.update_state(before, {"log": ["told"]}, as_node=as_node)
        made.append((sorted(graph.get_state(forked).next), graph.invoke(None, forked)))
        made.append(outcome(lambda: graph.update_state(ON, {"log": ["more"]}) and graph.get_state(ON).values))  # noqa: B023
    return made


def untracked_values(api: Api) -> Any:
    """In no checkpoint, in no Send that is stored; there while the run lasts."""
    channels = api.module("channels")
    make: Any = TypedDict
    state = make("state", {"secret": Annotated[str, channels.UntrackedValue], "log": Annotated[list, operator.add]})
    seen: list[Any] = []

    def reads(given: Any) -> Any:
        seen.append(given.get("secret"))
        return {"log": [api.interrupt("?")]}

    builder = api.StateGraph(state).add_node("reads", reads)
    builder.add_conditional_edges(api.START, lambda given: [api.Send("reads", dict(given))], ["reads"])
    graph = builder.compile(checkpointer=api.InMemorySaver())
    graph.invoke({"secret": "s", "log": []}, ON)
    return graph.get_state(ON).values, graph.invoke(api.Command(resume="x"), ON), seen


def a_command_for_a_parent_that_is_not_there(api: Api) -> Any:
    graph = line(api, lambda state: api.Command(graph=api.Command.PARENT, update={"n": 2}))
    return outcome(lambda: graph.invoke({"n": 1}, ON))
