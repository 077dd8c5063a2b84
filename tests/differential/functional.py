# mypy: disable-error-code="untyped-decorator, no-any-return"
"""Programs of the functional API: workflows, tasks, what is kept of them, what streams tell of them."""

import asyncio
from concurrent.futures import wait
from typing import Any, TypedDict

from tests.differential.harness import Api, outcome


class Numbers(TypedDict):
    n: int


THREAD: Any = {"configurable": {"thread_id": "1"}}


class Counted:
    """A function that remembers its calls, and fails the first times."""

    def __init__(self, failures: int = 0) -> None:
        self.__name__ = "counted"
        self.calls: list[Any] = []
        self.failures = failures

    def __call__(self, value: int) -> int:
        self.calls.append(value)
        if len(self.calls) <= self.failures:
            raise ConnectionError("not yet")
        return value + 1


def a_workflow_and_its_stream(api: Api) -> Any:
    func = api.module("func")

    @func.task
    def step(value: int) -> int:
        return value + 1

    @func.task(name="double")
    def twice(value: int, *, plus: int = 0) -> int:
        return 2 * value + plus

    @func.entrypoint(checkpointer=api.InMemorySaver())
    def workflow(value: int, *, previous: Any = None) -> Any:
        first = step(value).result()
        return func.entrypoint.final(value=[first, previous], save=twice(first, plus=1).result())

    modes = ["updates", "values", "tasks", "checkpoints", "debug"]
    chunks = [*workflow.stream(1, THREAD, stream_mode=modes)]
    for mode, chunk in chunks:
        if mode == "debug":
            chunk.pop("timestamp")
    return chunks, workflow.invoke(5, THREAD), workflow.get_state(THREAD).values


def results_are_kept_over_questions(api: Api) -> Any:
    func, counted = api.module("func"), Counted()
    step = func.task(counted)

    @func.task
    def ask(question: str) -> Any:
        return api.interrupt(question)

    @func.entrypoint(checkpointer=api.InMemorySaver())
    def workflow(value: int) -> Any:
        first = step(value).result()
        answer = ask("who?").result()
        other = api.interrupt("and?")
        return first, answer, other, step(value + 10).result()

    seen = []
    for given in (1, api.Command(resume="she"), api.Command(resume="he")):
        seen.append([*workflow.stream(given, THREAD, stream_mode=["updates", "values", "tasks"])])
        seen.append(workflow.get_state(THREAD))
    return seen, counted.calls


def results_are_kept_over_a_failure(api: Api) -> Any:
    func, counted, broken = api.module("func"), Counted(), Counted(failures=1)
    step, fragile = func.task(counted), func.task(broken)

    @func.entrypoint(checkpointer=api.InMemorySaver())
    def workflow(value: int) -> Any:
        return step(value).result(), fragile(value).result()

    return outcome(lambda: workflow.invoke(1, THREAD)), workflow.invoke(None, THREAD), counted.calls, broken.calls


def retries(api: Api) -> Any:
    func, counted, outer = api.module("func"), Counted(failures=2), Counted(failures=1)
    policy = api.RetryPolicy(max_attempts=3, initial_interval=0.001, jitter=False)
    step = func.task(retry_policy=policy)(counted)

    @func.entrypoint(retry_policy=policy)
    def workflow(value: int) -> Any:
        return outer(value)

    @func.entrypoint()
    def calling(value: int) -> Any:
        return step(value).result()

    return workflow.invoke(1), calling.invoke(1), counted.calls, outer.calls


def a_failure_that_is_caught(api: Api) -> Any:
    func = api.module("func")

    @func.task
    def bad(value: int) -> int:
        raise ValueError(value)

    @func.entrypoint(checkpointer=api.InMemorySaver())
    def workflow(value: int) -> Any:
        try:
            bad(value).result()
        except ValueError as exc:
            return f"caught {exc}"

    return [*workflow.stream(3, THREAD)], [*workflow.stream(4, THREAD, stream_mode="tasks")]


def tasks_beside_each_other(api: Api) -> Any:
    func = api.module("func")

    @func.task
    def step(value: int) -> int:
        return value * value

    @func.entrypoint()
    def workflow(count: int) -> Any:
        futures = [step(n) for n in range(count)]
        wait(futures)
        return [future.result() for future in futures], [future.done() for future in futures]

    return workflow.invoke(20)


def a_node_that_calls_tasks(api: Api) -> Any:
    func, counted = api.module("func"), Counted()
    step = func.task(counted)

    def node(state: dict[str, Any]) -> dict[str, Any]:
        first = step(state["n"]).result()
        return {"n": first + step(10).result() + api.interrupt("more?")}

    return _with_node(api, node), counted.calls


def _with_node(api: Api, node: Any) -> Any:
    graph = api.StateGraph(Numbers).add_node("node", node).add_edge(api.START, "node")
    app = graph.compile(checkpointer=api.InMemorySaver())
    asked = [*app.stream({"n": 1}, THREAD, stream_mode=["updates", "tasks"])]
    return asked, app.get_state(THREAD), [*app.stream(api.Command(resume=5), THREAD)], app.get_state(THREAD).values


def async_tasks(api: Api) -> Any:
    func, counted = api.module("func"), Counted(failures=1)
    policy = api.RetryPolicy(max_attempts=2, initial_interval=0.001, jitter=False)
    plain = func.task(retry_policy=policy)(counted)

    @func.task
    async def step(value: int) -> int:
        await asyncio.sleep(0.001)
        return value * 10

    @func.task
    async def outer(value: int) -> int:
        return await step(value) + await step(value + 1)

    @func.task
    async def bad(value: int) -> int:
        raise ValueError(value)

    @func.entrypoint(checkpointer=api.InMemorySaver())
    async def workflow(value: int) -> Any:
        both = await asyncio.gather(step(value), outer(value))
        try:
            await bad(1)
        except ValueError as exc:
            failed = str(exc)
        return both, await plain(value), failed, api.interrupt("go on?")

    async def run() -> Any:
        first = await workflow.ainvoke(1, THREAD)
        again = [part async for part in workflow.astream(api.Command(resume="yes"), THREAD)]
        return first, again, await workflow.aget_state(THREAD), counted.calls

    return asyncio.run(run())


def a_workflow_in_a_workflow(api: Api) -> Any:
    func = api.module("func")

    @func.task
    def step(value: int) -> int:
        return value + 1

    @func.entrypoint()
    def inner(value: int) -> int:
        return step(value).result() + api.interrupt("inner?")

    @func.entrypoint(checkpointer=api.InMemorySaver())
    def outer(value: int) -> Any:
        return step(value).result(), inner.invoke(value * 10)

    first = outer.invoke(1, THREAD)
    return first, outer.get_state(THREAD).next, outer.invoke(api.Command(resume=100), THREAD)


def cached_tasks(api: Api) -> Any:
    func, counted = api.module("func"), Counted()
    step = func.task(cache_policy=api.module("types").CachePolicy())(counted)
    cache = api.module("cache.memory").InMemoryCache()

    @func.entrypoint(cache=cache)
    def workflow(value: int) -> Any:
        # Once: the peer fills its cache behind the back of a workflow, so a second call may come too early there.
        return step(value).result()

    first = [*workflow.stream(1)], [*workflow.stream(1)]
    step.clear_cache(cache)
    return first, [*workflow.stream(1)], counted.calls


def what_is_refused(api: Api) -> Any:
    func = api.module("func")

    def generator(value: int) -> Any:
        yield value

    async def step(value: int) -> int:
        return value

    @func.entrypoint()
    def workflow(value: int) -> Any:
        return func.task(step)(value).result()

    return [
        outcome(lambda: func.entrypoint()(generator)),
        outcome(lambda: func.entrypoint()(lambda: 1)),
        outcome(lambda: func.task(timeout=1)(lambda value: value)),
        outcome(lambda: func.entrypoint(timeout=1)(lambda value: value)),
        outcome(lambda: func.task(lambda value: value)(1)),
        outcome(lambda: workflow.invoke(1)),
    ]
