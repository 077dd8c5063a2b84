# mypy: disable-error-code="untyped-decorator"
"""A program that is told from outside where to go and what its state is: by Commands, at every place where it can stand."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict


def newest(before: int, after: int) -> int:
    return after


class Told(TypedDict, total=False):
    value: Annotated[int, newest]
    log: Annotated[list[str], operator.add]


def commanded(api: Any) -> Any:
    """The ways: begin -> ask -> last, and a detour that nothing leads to."""

    def begin(state: Any) -> Any:
        if state["value"] < 0:
            raise ValueError(f"{state['value']} is too small")
        return {"log": [f"begin {state['value']}"]}

    def ask(state: Any) -> Any:
        first = api.interrupt(f"first at {state['value']}?")
        return {"log": [f"ask {first} {api.interrupt('second?')} {state['value']}"]}

    def last(state: Any) -> Any:
        return {"log": [f"last {state['value']} {len(state['log'])}"]}

    def detour(state: Any) -> Any:
        return {"log": [f"detour {state['value']}"]}

    builder = api.StateGraph(Told)
    for node in (begin, ask, detour):
        builder.add_node(node.__name__, node)
    builder.add_node("last", last, destinations=("detour",))
    builder.add_edge(api.START, "begin").add_edge("begin", "ask").add_edge("ask", "last").add_edge("last", api.END)
    return builder


def on(thread: str) -> Any:
    return {"configurable": {"thread_id": thread}}


def stands(app: Any, thread: str) -> Any:
    state = app.get_state(on(thread))
    return state.values, state.next, [task.interrupts and task.interrupts[0].value for task in state.tasks]


def waits(app: Any, thread: str) -> Any:
    """What a Command has woken beside what waits is shown here, and not by the peer: see differences.md."""
    return app.get_state(on(thread)).next


def use_commanded(app: Any, api: Any) -> Any:
    return [
        part(app, api) for part in (_beside_questions, _after_the_end, _at_a_breakpoint, _after_a_failure, _streamed)
    ]


def _beside_questions(app: Any, api: Any) -> Any:
    seen = [app.invoke({"value": 1}, on("a"))]
    for given in (
        api.Command(update={"value": 7, "log": ["told"]}),
        api.Command(resume="x", update={"value": 8}),
        api.Command(goto="detour"),
        api.Command(resume="y", update={"log": ["again"]}),
    ):
        seen.append(app.invoke(given, on("a")))
        seen.append(waits(app, "a") if given.goto else stands(app, "a"))
    return seen


def _after_the_end(app: Any, api: Any) -> Any:
    app.invoke({"value": 1}, on("b"))
    app.invoke(api.Command(resume="x"), on("b"))
    seen = [app.invoke(api.Command(resume="y"), on("b"))]
    for given in (
        api.Command(update={"value": 5}),
        api.Command(update={"log": ["more"]}, goto="detour"),
        api.Command(goto=[api.Send("detour", {"value": 50}), api.Send("detour", {"value": 60})]),
        api.Command(update=[("value", 6)]),
        {"log": ["anew"]},
    ):
        seen += [app.invoke(given, on("b")), stands(app, "b")]
    return [*seen, app.invoke(api.Command(update={"value": 3}), on("new")), stands(app, "new")]


def _at_a_breakpoint(app: Any, api: Any) -> Any:
    app.invoke({"value": 1}, on("c"), interrupt_before=["ask"])
    seen = [app.invoke(api.Command(update={"value": 2}, goto="detour"), on("c"), interrupt_after=["detour"])]
    return [*seen, waits(app, "c"), app.invoke(api.Command(update={"value": 3}), on("c")), waits(app, "c")]


def _after_a_failure(app: Any, api: Any) -> Any:
    seen = []
    for given in ({"value": -1}, api.Command(update={"value": -2}), api.Command(update={"value": 2})):
        try:
            seen.append(app.invoke(given, on("d")))
        except ValueError as error:
            seen.append(str(error))
        seen.append(stands(app, "d"))
    return seen


def _streamed(app: Any, api: Any) -> Any:
    seen = [*app.stream({"value": 1}, on("e"), stream_mode=["values", "updates"])]
    for given in (
        api.Command(update={"value": 2}),
        api.Command(resume="x", update={"value": 3}),
        api.Command(resume="y"),
        api.Command(update={"value": 4}, goto="detour"),
    ):
        seen += app.stream(given, on("e"), stream_mode=["values", "updates"])
    return seen
