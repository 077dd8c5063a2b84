"""Programs about what outlives a run besides its checkpoints: cached results, and the store."""

import asyncio
import operator
from typing import Annotated, Any, TypedDict

from tests.differential.harness import Api, outcome


class State(TypedDict):
    value: int
    log: Annotated[list[str], operator.add]


class Counted:
    """A node that remembers how often it ran."""

    def __init__(self) -> None:
        self.runs: list[int] = []

    def __call__(self, state: State) -> dict[str, Any]:
        self.runs.append(state["value"])
        return {"log": [f"ran{state['value']}"]}


def _cached(api: Api, node: Any, **options: Any) -> Any:
    policy, memory = api.module("types").CachePolicy, api.module("cache.memory").InMemoryCache
    builder = api.StateGraph(State).add_node("slow", node, cache_policy=policy(**options.pop("policy", {})))
    builder.add_node("after", lambda state: {"log": ["after"]})
    builder.add_edge(api.START, "slow").add_edge("slow", "after")
    return builder.compile(cache=memory(), **options)


def a_result_is_used_again(api: Api) -> Any:
    node = Counted()
    graph = _cached(api, node)
    results = [graph.invoke({"value": value, "log": []}) for value in (1, 1, 2, 1)]
    return results, node.runs


def chunks_of_a_cached_result(api: Api) -> Any:
    graph = _cached(api, Counted())
    graph.invoke({"value": 1, "log": []})
    given: Any = {"value": 1, "log": []}
    tasks = [(part["name"], "result" in part) for part in graph.stream(given, stream_mode="tasks")]
    return [*graph.stream(given, stream_mode=["updates", "values"])], tasks


def cached_under_a_loop(api: Api) -> Any:
    async def once() -> Any:
        node = Counted()
        graph = _cached(api, node, policy={"key_func": lambda state: str(state["value"] % 2)})
        results = [await graph.ainvoke({"value": value, "log": []}) for value in (1, 3, 2)]
        await graph.aclear_cache()
        return results, [part async for part in graph.astream({"value": 5, "log": []})], node.runs

    return asyncio.run(once())


def forgotten_results(api: Api) -> Any:
    node = Counted()
    graph = _cached(api, node)
    for nodes in (None, ["slow"], ["after"], ["nobody"]):
        graph.invoke({"value": 1, "log": []})
        graph.clear_cache(nodes)
    graph.invoke({"value": 1, "log": []})
    bare = api.StateGraph(State).add_node("n", node).add_edge(api.START, "n").compile()
    return node.runs, outcome(bare.clear_cache)


def failures_and_questions_are_not_kept(api: Api) -> Any:
    runs: list[str] = []

    def fails(state: State) -> Any:
        runs.append("fails")
        if len(runs) == 1:
            raise ValueError("once")

    def asks(state: State) -> Any:
        runs.append("asks")
        return {"log": [api.interrupt("why?")]}

    failing, asking = _cached(api, fails), _cached(api, asks, checkpointer=api.InMemorySaver())
    given: Any = {"value": 1, "log": []}
    seen = [outcome(lambda: failing.invoke(given)) for _ in range(3)]
    for thread in "ab":
        seen.append(asking.invoke(given, {"configurable": {"thread_id": thread}})["__interrupt__"][0].value)
    return seen, runs


def cached_routing_and_pending_writes(api: Api) -> Any:
    """What a cached node decided about the way holds again, and its writes are checkpointed like others."""
    policy = api.module("types").CachePolicy
    runs: list[str] = []

    def chooses(state: State) -> Any:
        runs.append("chooses")
        return api.Command(update={"log": ["chose"]}, goto="end")

    def ends(state: State) -> Any:
        return {"log": [api.interrupt("go on?")]}

    builder = api.StateGraph(State).add_node("choose", chooses, cache_policy=policy()).add_node("end", ends)
    builder.add_edge(api.START, "choose")
    graph = builder.compile(cache=api.module("cache.memory").InMemoryCache(), checkpointer=api.InMemorySaver())
    seen = []
    for thread in "ab":
        config: Any = {"configurable": {"thread_id": thread}}
        graph.invoke({"value": 1, "log": []}, config)
        state = graph.get_state(config)
        seen.append((state.values, state.next, [(task.name, task.result) for task in state.tasks]))
    return seen, runs


def defaults_reach_nodes_without_a_policy(api: Api) -> Any:
    node, other = Counted(), Counted()
    types = api.module("types")
    builder = api.StateGraph(State).add_node("a", node)
    builder.add_node("b", other, cache_policy=types.CachePolicy(key_func=lambda state: str(state["value"])))
    builder.set_node_defaults(cache_policy=types.CachePolicy(key_func=lambda state: "always"))
    builder.add_edge(api.START, "a").add_edge("a", "b")
    graph = builder.compile(cache=api.module("cache.memory").InMemoryCache())
    results = [graph.invoke({"value": value, "log": []}) for value in (1, 2)]
    return results, node.runs, other.runs
