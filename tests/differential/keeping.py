"""Programs about what outlives a run besides its checkpoints: cached results, and the store."""

import asyncio
import operator
from functools import partial
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


# ------------------------------------------------------------- the store


def _letters(texts: Any) -> list[list[float]]:
    return [[float(text.count(letter)) for letter in "abcdef"] for text in texts]


def _filled(api: Api, *fields: str) -> Any:
    index = {"dims": 6, "embed": _letters, "fields": [*fields] or ["text", "tags[*]"]}
    store = api.module("store.memory").InMemoryStore(index=index)
    store.put(("u", "1"), "a", {"text": "aab", "n": 1})
    store.put(("u", "2"), "b", {"text": "ccc", "tags": ["d", "ef"], "n": 2})
    store.put(("u", "1"), "c", {"n": 3, "deep": {"x": [1, 2]}})
    store.put(("u", "1", "x"), "d", {"text": "abcdef", "n": 4}, index=False)
    store.put(("v",), "e", {"text": "fff", "other": {"path": ["b"]}, "n": 5}, index=["other.path[0]"])
    return store


def _seen(items: Any) -> Any:
    return [(item.namespace, item.key, item.value, item.score and round(item.score, 6)) for item in items]


def searches(api: Api) -> Any:
    store = _filled(api)
    return [
        _seen(store.search(("u",))),
        _seen(store.search(("u",), query="ab")),
        _seen(store.search((), query="f", limit=2)),
        _seen(store.search((), query="f", limit=2, offset=1)),
        _seen(store.search((), query="b", filter={"n": {"$gt": 1, "$lte": 5}})),
        _seen(store.search(("u",), filter={"n": {"$ne": 3}}, limit=1, offset=1)),
        _seen(store.search((), filter={"deep": {"x": [1, 2]}})),
        _seen(store.search((), filter={"n": {"$eq": 2}, "text": "ccc"})),
        outcome(lambda: store.search((), filter={"n": {"$like": 2}})),
    ]


def namespaces(api: Api) -> Any:
    store = _filled(api)
    return [
        store.list_namespaces(),
        store.list_namespaces(max_depth=1),
        store.list_namespaces(prefix=("u", "*"), max_depth=2),
        store.list_namespaces(suffix=("1",)),
        store.list_namespaces(prefix=("u",), suffix=("*", "x")),
        store.list_namespaces(limit=1, offset=1),
    ]


def namespaces_that_are_none(api: Api) -> Any:
    store = _filled(api)
    bad: list[Any] = [(), ("a.b",), ("",), (1,), ("langgraph", "x"), ("a\0b",)]
    puts = [outcome(partial(store.put, namespace, "k", {"a": 1})) for namespace in bad]
    gets = [outcome(partial(store.get, namespace, "k")) for namespace in bad]
    return puts, gets, outcome(lambda: store.put(("a",), "k", {"a": 1}, ttl=3))


def operations_in_a_batch(api: Api) -> Any:
    base, store = api.module("store.base"), _filled(api)
    results = store.batch(
        [
            base.PutOp(("q",), "k", {"a": 1}),
            base.GetOp(("u", "1"), "none"),
            base.GetOp(("u", "1"), "a"),
            base.SearchOp(("u", "1"), limit=1),
            base.ListNamespacesOp(max_depth=1),
            base.PutOp(("q",), "k", {"a": 2}),
            base.PutOp(("v",), "e", None),
        ]
    )
    return [
        results[2].value,
        _seen(results[3]),
        results[:2],
        results[4:],
        # When it was written first and last is the clock's: apart by microseconds, or not.
        store.get(("q",), "k").value,
        store.get(("v",), "e"),
    ]


def a_store_in_a_graph(api: Api) -> Any:
    get_store = api.module("config").get_store

    def keeps(state: State, *, store: api.module("store.base").BaseStore) -> Any:  # type: ignore[valid-type]
        store.put(("users", "ann"), f"k{state['value']}", {"log": state["log"]})

    def by_runtime(state: State, runtime: api.Runtime) -> Any:  # type: ignore[name-defined]
        found = runtime.store.search(("users",))
        return {"log": [item.key for item in found]}

    def by_call(state: State) -> Any:
        return {"log": [str(get_store().get(("users", "ann"), "k1").value)]}

    inner = api.StateGraph(State).add_node("by_call", by_call).add_edge(api.START, "by_call").compile()
    builder = api.StateGraph(State).add_node("keeps", keeps).add_node("by_runtime", by_runtime)
    builder.add_node("inner", inner).add_edge(api.START, "keeps").add_edge("keeps", "by_runtime")
    graph = builder.add_edge("by_runtime", "inner").compile(store=api.module("store.memory").InMemoryStore())
    return [graph.invoke({"value": value, "log": ["start"]}) for value in (1, 2)]


def a_store_under_a_loop(api: Api) -> Any:
    async def embed(texts: Any) -> list[list[float]]:
        return _letters(texts)

    async def program() -> Any:
        store = api.module("store.memory").InMemoryStore(index={"dims": 6, "embed": embed})
        await store.aput(("a",), "x", {"t": "aaa"})
        await store.aput(("a",), "y", {"t": "bbb"})
        found = _seen(await store.asearch(("a",), query="b", limit=1))
        await store.adelete(("a",), "x")
        return (
            found,
            await store.aget(("a",), "x"),
            await store.alist_namespaces(),
            outcome(lambda: store.search((), query="x")),
        )

    return asyncio.run(program())


def paths_of_texts(api: Api) -> Any:
    base = api.module("store.base")
    value: Any = {"a": {"b": [1, {"c": "x", "d": [2]}]}, "z": None, "f": [True, [1]], "t": "text"}
    paths = [
        *("$", "", "a.b[1].{c,d}", "a.b[0]", "a.b[-1].c", "a.b[7]", "*", "f[*]", "z", "t", "t.u", "a.*", "{t, a.b}"),
        *("a.b[*].c", "nothing", "a.b[1].d[0]"),
    ]
    return [(base.tokenize_path(path), base.get_text_at_path(value, path)) for path in paths]
