"""Programs about threads: interrupts, resuming, states, histories, updates, forks, time travel."""

import asyncio
import operator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Annotated, Any, TypedDict

from tests.differential.harness import Api, outcome

ONE: Any = {"configurable": {"thread_id": "1"}}


class State(TypedDict, total=False):
    value: int
    log: Annotated[list[str], operator.add]


def step(name: str, **update: Any) -> Any:
    def node(state: Any) -> Any:
        return {"log": [name], **update}

    return node


def line(api: Api, *nodes: Any, **options: Any) -> Any:
    builder = api.StateGraph(State)
    builder.add_sequence([(f"n{index}", node) for index, node in enumerate(nodes)])
    builder.add_edge(api.START, "n0")
    return builder.compile(checkpointer=api.InMemorySaver(), **options)


def fork(api: Api, **nodes: Any) -> Any:
    builder = api.StateGraph(State)
    for name, node in nodes.items():
        builder.add_node(name, node)
        builder.add_edge(api.START, name)
    return builder


def states(graph: Any, config: Any = ONE) -> Any:
    return [
        (
            s.values,
            s.next,
            s.metadata["source"],
            s.metadata["step"],
            [(t.name, t.error, t.interrupts, t.result) for t in s.tasks],
        )
        for s in graph.get_state_history(config)
    ]


# ---------------------------------------------------------------- threads


def turns(api: Api) -> Any:
    graph = line(api, step("a"), step("b"))
    return (
        graph.invoke({"value": 1}, ONE),
        graph.invoke({"value": 2}, ONE),
        graph.invoke({"value": 3}, {"configurable": {"thread_id": "2"}}),
        graph.invoke(None, ONE),
        graph.get_state(ONE),
        states(graph),
        graph.get_state({"configurable": {"thread_id": "none"}}).values,
        outcome(lambda: graph.invoke({})),
        outcome(lambda: graph.invoke({}, {"configurable": {"user": 1}})),
        outcome(lambda: graph.invoke(None, {"configurable": {"thread_id": "new"}})),
    )


def whole_snapshots(api: Api) -> Any:
    graph = line(api, step("a"), step("b"))
    graph.invoke({"value": 1}, {**ONE, "metadata": {"mine": 1}})
    return list(graph.get_state_history(ONE))


def histories(api: Api) -> Any:
    graph = line(api, step("a"), step("b"))
    graph.invoke({"value": 1}, ONE)
    all_ = list(graph.get_state_history(ONE))
    return (
        [s.metadata["step"] for s in graph.get_state_history(ONE, limit=2)],
        [s.metadata["step"] for s in graph.get_state_history(ONE, before=all_[1].config)],
        [s.metadata["step"] for s in graph.get_state_history(ONE, filter={"source": "input"})],
        [s.metadata["step"] for s in graph.get_state_history(ONE, filter={"step": 1})],
        graph.get_state(all_[1].config).values,
    )


def durabilities(api: Api) -> Any:
    made = []
    for durability in ("sync", "async", "exit"):
        graph = line(api, step("a"), step("b"))
        made.append((graph.invoke({"value": 1}, ONE, durability=durability), states(graph)))
    return made


#: The sibling that ends well runs first: side by side, the peer loses its writes now and then.
IN_ORDER: Any = {"configurable": {"thread_id": "1"}, "max_concurrency": 1}


def failures_and_recovery(api: Api) -> Any:
    """Siblings that finished do not run again."""
    calls: list[str] = []

    def good(state: State) -> Any:
        calls.append("good")
        return {"log": ["good"]}

    def flaky(state: State) -> Any:
        calls.append("flaky")
        if calls.count("flaky") == 1:
            raise KeyError("once")
        return {"log": ["flaky"]}

    graph = fork(api, a=good, z=flaky).compile(checkpointer=api.InMemorySaver())
    first = outcome(lambda: graph.invoke({"value": 1}, IN_ORDER))
    between = graph.get_state(ONE)
    errors = [(task.name, bool(task.error), task.result) for task in between.tasks]
    return first, between.values, between.next, errors, graph.invoke(None, IN_ORDER), sorted(calls)


def new_input_discards_unfinished_tasks(api: Api) -> Any:
    def failing(state: State) -> Any:
        if state["value"] == 1:
            raise KeyError("x")
        return {"log": ["ok"]}

    graph = fork(api, a=step("good"), z=failing).compile(checkpointer=api.InMemorySaver())
    first = outcome(lambda: graph.invoke({"value": 1}, IN_ORDER))
    return first, graph.invoke({"value": 2}, IN_ORDER), states(graph)


def recursion_can_be_continued(api: Api) -> Any:
    graph = line(api, step("a"), step("b"), step("c"))
    first = outcome(lambda: graph.invoke({"value": 1}, {**ONE, "recursion_limit": 2}))
    return first, graph.get_state(ONE).next, graph.invoke(None, ONE)


def run_ids_make_inputs_idempotent(api: Api) -> Any:
    graph = line(api, step("a"), step("b"), interrupt_after=["n0"])
    config = {**ONE, "metadata": {"run_id": "r1"}}
    return graph.invoke({"value": 1}, config), graph.invoke({"value": 1}, config), states(graph)


# ---------------------------------------------------------------- interrupts


def asking(api: Api) -> Any:
    def node(state: State) -> Any:
        first = api.interrupt("first?")
        second = api.interrupt({"q": "second?"})
        return {"log": [first, second]}

    graph = line(api, step("a"), node, step("c"))

    def answer(value: Any) -> Any:
        return graph.invoke(api.Command(resume=value), ONE)

    return (
        graph.invoke({"value": 1}, ONE),
        graph.get_state(ONE),
        graph.invoke(None, ONE),
        answer("one"),
        graph.get_state(ONE).interrupts,
        answer({"not": "an id"} and "two"),
        graph.get_state(ONE).next,
        states(graph),
    )


def answers_before_their_question(api: Api) -> Any:
    """They are for what is asked in the superstep that comes next, at whatever depth; nobody has seen what comes later."""

    def ask(state: State) -> Any:
        return {"log": [api.interrupt("?")]}

    def answered(graph: Any, **more: Any) -> Any:
        return graph.invoke(api.Command(resume="A", **more), ONE)

    def stopped(*nodes: Any) -> Any:
        graph = line(api, *nodes, interrupt_before=["n0"])
        graph.invoke({"log": []}, ONE)
        return answered(graph)

    builder = api.StateGraph(State).add_sequence([("quiet", step("deep")), ("asks", ask), ("again", ask)])
    nested = builder.add_edge(api.START, "quiet").compile()
    return (
        answered(line(api, ask)),
        answered(line(api, step("a"), ask), goto="n1"),
        stopped(ask, ask),
        stopped(step("a"), ask),
        stopped(nested),
        stopped(step("a"), nested),
    )


def asking_in_streams(api: Api) -> Any:
    def node(state: State) -> Any:
        return {"log": [api.interrupt("?")]}

    graph = line(api, node)
    modes = ["updates", "values", "tasks", "checkpoints", "debug"]
    return (
        list(graph.stream({"value": 1}, ONE, stream_mode=modes)),
        list(graph.stream(api.Command(resume="a"), ONE, stream_mode=modes)),
        graph.invoke({"value": 1}, ONE, version="v2"),
        list(graph.stream(None, ONE, stream_mode="values", version="v2")),
        graph.invoke({"value": 1}, ONE, stream_mode="updates"),
    )


def several_questions(api: Api) -> Any:
    def ask(name: str) -> Any:
        return lambda state: {"log": [name + api.interrupt(name)]}

    graph = fork(api, a=ask("a"), b=ask("b"), c=step("c")).compile(checkpointer=api.InMemorySaver())
    asked = graph.invoke({"value": 1}, ONE)["__interrupt__"]
    by_value = {question.value: question.id for question in asked}
    single = outcome(lambda: graph.invoke(api.Command(resume="x"), ONE))
    partly = graph.invoke(api.Command(resume={by_value["a"]: "1"}), ONE)
    state = graph.get_state(ONE)
    rest = graph.invoke(api.Command(resume={by_value["b"]: "2"}), ONE)
    return sorted(by_value), single, partly, state.values, state.next, rest


def answers_of_all_kinds(api: Api) -> Any:
    made = []
    for answer in ("text", 0, False, {"a": 1}, [], [1]):
        graph = line(api, lambda state: {"log": [repr(api.interrupt("?"))]})
        graph.invoke({"value": 1}, ONE)
        made.append(outcome(lambda: graph.invoke(api.Command(resume=answer), ONE)))  # noqa: B023
    return made


def resuming_with_more(api: Api) -> Any:
    def node(state: State) -> Any:
        return {"log": [api.interrupt("?") + str(state["value"])]}

    builder = api.StateGraph(State)
    builder.add_node("ask", node)
    builder.add_node("other", step("other"))
    builder.add_edge(api.START, "ask")
    graph = builder.compile(checkpointer=api.InMemorySaver())
    graph.invoke({"value": 1}, ONE)
    first = graph.invoke(api.Command(resume="a", update={"value": 7}), ONE)
    graph.invoke({"value": 1}, ONE)
    return first, graph.invoke(api.Command(resume="b", goto="other"), ONE), graph.invoke({"value": 5}, ONE)


def questions_and_retries(api: Api) -> Any:
    calls = []

    def node(state: State) -> Any:
        answer = api.interrupt("?")
        calls.append(answer)
        if len(calls) < 2:
            raise ConnectionError("again")
        return {"log": [answer]}

    builder = api.StateGraph(State)
    builder.add_node("n", node, retry_policy=api.RetryPolicy(initial_interval=0.001, jitter=False))
    builder.add_edge(api.START, "n")
    graph = builder.compile(checkpointer=api.InMemorySaver())
    return graph.invoke({}, ONE), graph.invoke(api.Command(resume="x"), ONE), calls


def questions_from_several_os_threads(api: Api) -> Any:
    """In the context of the node, one after the other; without it nobody knows who asks."""

    def ask(question: str) -> Any:
        return pool.submit(copy_context().run, api.interrupt, question).result()

    def bare(state: State) -> Any:
        return {"log": [pool.submit(api.interrupt, "who?").result()]}

    with ThreadPoolExecutor(2) as pool:
        graph = line(api, lambda state: {"log": [ask("a?"), ask("b?")]})
        given: list[Any] = [{}, api.Command(resume="x"), api.Command(resume="y")]
        seen = [graph.invoke(each, ONE) for each in given]
        return seen, outcome(lambda: line(api, bare).invoke({}, ONE))


def asking_without_a_saver(api: Api) -> Any:
    builder = api.StateGraph(State)
    builder.add_node("n", lambda s: {"log": [api.interrupt("?")]})
    builder.add_edge(api.START, "n")
    graph = builder.compile()
    return (
        graph.invoke({"value": 1}),
        list(graph.stream({"value": 1})),
        outcome(lambda: graph.get_state(ONE)),
        outcome(lambda: graph.update_state(ONE, {})),
        outcome(lambda: list(graph.get_state_history(ONE))),
    )


def questions_in_branches(api: Api) -> Any:
    builder = api.StateGraph(State)
    builder.add_node("a", step("a"))
    builder.add_node("b", step("b"))
    builder.add_edge(api.START, "a")
    builder.add_conditional_edges("a", lambda s: api.interrupt("where?"), ["b", api.END])
    graph = builder.compile(checkpointer=api.InMemorySaver())
    # The peer shows what the asking task wrote before it asked; here a task that asks has written nothing yet.
    asked = graph.invoke({"value": 1}, ONE)["__interrupt__"]
    return asked, graph.invoke(api.Command(resume="b"), ONE)


# ---------------------------------------------------------------- breakpoints


def breakpoints(api: Api) -> Any:
    made = []
    for options in (
        {"interrupt_before": ["n1"]},
        {"interrupt_after": ["n1"]},
        {"interrupt_before": ["n0", "n2"]},
        {"interrupt_before": "*"},
        {"interrupt_after": "*"},
        {"interrupt_before": ["n1"], "interrupt_after": ["n1"]},
    ):
        graph = line(api, step("a"), step("b"), step("c"), **options)
        seen = [list(graph.stream({"value": 1}, ONE, stream_mode=["updates", "values"]))]
        for _ in range(5):
            state = graph.get_state(ONE)
            if not state.next:
                break
            seen += [state.next, graph.invoke(None, ONE)]
        made.append(seen)
    return made


def breakpoints_of_one_call(api: Api) -> Any:
    graph = line(api, step("a"), step("b"), step("c"))
    return (
        graph.invoke({"value": 1}, ONE, interrupt_before=["n1"]),
        graph.get_state(ONE).next,
        graph.invoke(None, ONE, interrupt_after=["n1"]),
        graph.invoke(None, ONE, interrupt_before="*"),
        graph.invoke(None, ONE),
    )


def breakpoints_without_a_saver(api: Api) -> Any:
    builder = api.StateGraph(State)
    builder.add_sequence([("a", step("a")), ("b", step("b"))])
    builder.add_edge(api.START, "a")
    graph = builder.compile(interrupt_before=["b"])
    return graph.invoke({"value": 1}), list(graph.stream({"value": 1}))


# ---------------------------------------------------------------- changing states


def updates(api: Api) -> Any:
    graph = line(api, step("a"), step("b"), step("c"), interrupt_before=["n1"])
    graph.invoke({"value": 1}, ONE)
    graph.update_state(ONE, {"log": ["edited"], "value": 9})
    first = states(graph)
    graph.update_state(ONE, {"log": ["as b"]}, as_node="n1")
    second = graph.get_state(ONE).next
    return (
        first,
        second,
        graph.invoke(None, ONE),
        states(graph),
        outcome(lambda: graph.update_state(ONE, {}, as_node="none")),
        outcome(lambda: graph.update_state(ONE, {"unknown": 1})),
    )


def updates_of_fresh_threads(api: Api) -> Any:
    graph = line(api, step("a"), step("b"))
    config = graph.update_state(ONE, {"value": 1})
    return config, states(graph), graph.invoke(None, ONE), graph.invoke({"value": 2}, config)


def updates_as_end(api: Api) -> Any:
    graph = line(api, step("a"), step("b"), interrupt_before=["n1"])
    graph.invoke({"value": 1}, ONE)
    graph.update_state(ONE, None, as_node=api.END)
    return graph.get_state(ONE).next, states(graph)


def ambiguous_updates(api: Api) -> Any:
    graph = fork(api, a=step("a"), b=step("b")).compile(checkpointer=api.InMemorySaver())
    graph.invoke({"value": 1}, ONE)
    return outcome(lambda: graph.update_state(ONE, {"value": 3})), graph.update_state(ONE, {"value": 3}, "a")


def updates_follow_edges(api: Api) -> Any:
    builder = api.StateGraph(State)
    for name in ("a", "b", "c"):
        builder.add_node(name, step(name))
    builder.add_edge(api.START, "a")
    builder.add_conditional_edges("a", lambda s: "b" if s["value"] > 5 else "c", ["b", "c"])
    graph = builder.compile(checkpointer=api.InMemorySaver())
    graph.update_state(ONE, {"value": 9}, as_node="a")
    first = graph.get_state(ONE).next
    graph.update_state(ONE, {"value": 1}, as_node="a")
    return first, graph.get_state(ONE).next, graph.invoke(None, ONE)


def bulk_updates(api: Api) -> Any:
    graph = line(api, step("a"), step("b"))
    update = api.StateUpdate
    config = graph.bulk_update_state(
        ONE, [[update({"value": 1}, "__input__")], [update({"log": ["x"]}, "n0")], [update({"log": ["y"]}, "n1")]]
    )
    pair = graph.bulk_update_state(ONE, [[update({"log": ["1"]}, "n0"), update({"log": ["2"]}, "n1")]])
    return (
        config,
        pair,
        states(graph),
        outcome(lambda: graph.bulk_update_state(ONE, [])),
        outcome(lambda: graph.bulk_update_state(ONE, [[]])),
        outcome(lambda: graph.bulk_update_state(ONE, [[update({}, None), update({}, None)]])),
    )


def forks(api: Api) -> Any:
    graph = line(api, step("a"), step("b"), step("c"))
    graph.invoke({"value": 1}, ONE)
    before = next(s for s in graph.get_state_history(ONE) if s.next == ("n1",))
    replayed = graph.invoke(None, before.config)
    after_replay = states(graph)
    forked = graph.update_state(before.config, {"log": ["forked"], "value": 8})
    return replayed, after_replay, graph.invoke(None, forked), graph.get_state(ONE).values, states(graph)


def forks_with_input(api: Api) -> Any:
    graph = line(api, step("a"), step("b"))
    graph.invoke({"value": 1}, ONE)
    first = list(graph.get_state_history(ONE))[-2]
    return graph.invoke({"value": 5}, first.config), states(graph)


def copies(api: Api) -> Any:
    graph = line(api, step("a"), step("b"))
    graph.invoke({"value": 1}, ONE)
    before = next(s for s in graph.get_state_history(ONE) if s.next == ("n1",))
    copied = graph.update_state(before.config, None, as_node="__copy__")
    return graph.get_state(copied).next, graph.invoke(None, copied), states(graph)


def time_travel_with_questions(api: Api) -> Any:
    graph = line(api, step("a"), lambda s: {"log": [api.interrupt("?")]}, step("c"))
    graph.invoke({"value": 1}, ONE)
    graph.invoke(api.Command(resume="first"), ONE)
    before = next(s for s in graph.get_state_history(ONE) if s.next == ("n1",))
    asked = graph.invoke(None, before.config)
    return asked, graph.invoke(api.Command(resume="second"), ONE), states(graph)


def async_threads(api: Api) -> Any:
    async def node(state: State) -> Any:
        return {"log": [api.interrupt("?")]}

    async def run() -> Any:
        graph = line(api, step("a"), node)
        asked = await graph.ainvoke({"value": 1}, ONE)
        state = await graph.aget_state(ONE)
        await graph.aupdate_state(ONE, {"value": 5})
        chunks = [chunk async for chunk in graph.astream(None, ONE, stream_mode=["updates", "values"])]
        done = await graph.ainvoke(api.Command(resume="x"), ONE)
        history = [(s.next, s.metadata["source"]) async for s in graph.aget_state_history(ONE)]
        return asked, state, chunks, done, history

    return asyncio.run(run())


def callbacks(api: Api) -> Any:
    module = api.module("callbacks")
    events: list[Any] = []

    class Handler(module.GraphCallbackHandler):  # type: ignore[misc, name-defined]
        def on_interrupt(self, event: Any) -> None:
            events.append(
                (type(event).__name__, event.status, event.checkpoint_ns, [i.value for i in event.interrupts])
            )

        def on_resume(self, event: Any) -> None:
            events.append((type(event).__name__, event.status, event.checkpoint_ns))

    graph = line(api, step("a"), lambda s: {"log": [api.interrupt("?")]}, interrupt_before=["n1"])
    config = {**ONE, "callbacks": [Handler()]}
    graph.invoke({"value": 1}, config)
    graph.invoke(None, config)
    graph.invoke(api.Command(resume="x"), config)
    return events
