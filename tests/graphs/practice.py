# mypy: disable-error-code="untyped-decorator"
"""Programs as people write them: what each builds, and how it is used.

``NAME(api)`` builds a program's graph with either library; ``use_NAME(app, api)`` runs it and tells what it saw. The
graph is compiled by whoever runs it: with a saver in one process, without one for workers.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig

from tests.graphs.commanded import commanded, use_commanded

ON: Any = {"configurable": {"thread_id": "1"}}


def said(messages: Any) -> list[tuple[str, Any]]:
    return [(message.type, message.content) for message in messages]


# ---------------------------------------------------------------- an agent with tools


class Model:
    """A chat model by shape: asks for the tools that a question names, then answers from what they gave."""

    def invoke(self, messages: Any, config: Any = None) -> Any:
        """The next message of a conversation."""
        results = [message.content for message in messages if message.type == "tool"]
        words = messages[-1].content.split() if messages[-1].type == "human" else []
        calls = [
            {"name": word.split("(")[0], "args": {"x": int(word.split("(")[1][:-1])}, "id": f"call-{place}"}
            for place, word in enumerate(words)
            if "(" in word
        ]
        return AIMessage(content="" if calls else " and ".join(["so:", *results[-2:]]), tool_calls=calls)


TOOLS = {"double": lambda x: 2 * x, "square": lambda x: x * x}


def agent(api: Any) -> Any:
    """Calls a model, then the tools it asks for, until it asks for none."""
    model = Model()

    def think(state: Any) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    def call(state: Any) -> Any:
        if isinstance(state, dict) and "call" in state:
            wanted = state["call"]
            result = str(TOOLS[wanted["name"]](**wanted["args"]))
            return {"messages": [ToolMessage(result, tool_call_id=wanted["id"], name=wanted["name"])]}
        return None

    def route(state: Any) -> Any:
        calls = state["messages"][-1].tool_calls
        return [api.Send("call", {"call": each}) for each in calls] if calls else api.END

    builder = api.StateGraph(api.MessagesState).add_node("think", think).add_node("call", call)
    builder.add_edge(api.START, "think").add_conditional_edges("think", route, ["call", api.END])
    return builder.add_edge("call", "think")


def use_agent(app: Any, api: Any) -> Any:
    first = app.invoke({"messages": [HumanMessage("double(3) square(4)")]}, ON)
    steps = list(app.stream({"messages": [("user", "and square(5) again")]}, ON, stream_mode="values"))
    state = app.get_state(ON)
    return (
        said(first["messages"]),
        [said(step["messages"])[-1] for step in steps],
        [message.name for message in state.values["messages"] if message.type == "tool"],
        state.next,
        [(s.next, s.metadata["step"]) for s in app.get_state_history(ON)],
    )


# ---------------------------------------------------------------- map and reduce


class Report(TypedDict, total=False):
    texts: list[str]
    counts: Annotated[list[tuple[str, int]], operator.add]
    longest: str
    total: int


def map_reduce(api: Any) -> Any:
    """Counts the words of each text beside the others, then sums up."""

    def count(state: Any) -> Any:
        return {"counts": [(state["text"][:5], len(state["text"].split()))]}

    def reduce(state: Any) -> Any:
        return {"total": sum(count for _, count in state["counts"])}

    def longest(state: Any) -> Any:
        return {"longest": max(state["texts"], key=len, default="")}

    builder = api.StateGraph(Report).add_node("count", count).add_node("reduce", reduce, defer=True)
    builder.add_node("find_longest", longest).add_edge(api.START, "find_longest")
    builder.add_conditional_edges(
        api.START, lambda state: [api.Send("count", {"text": text}) for text in state["texts"]], ["count"]
    )
    return builder.add_edge("count", "reduce").add_edge("reduce", api.END)


def use_map_reduce(app: Any, api: Any) -> Any:
    texts = ["one two three", "four", "five six seven eight", "nine ten"]
    updates = list(app.stream({"texts": texts}, ON, stream_mode="updates"))
    state = app.get_state(ON)
    return sorted(map(repr, updates)), state.values, state.next, app.invoke({"texts": []}, _on("none"))


def _on(thread: str) -> Any:
    return {"configurable": {"thread_id": thread}}


# ---------------------------------------------------------------- a supervisor and its team


class Work(TypedDict, total=False):
    task: str
    notes: Annotated[list[str], operator.add]
    rounds: int


def supervisor(api: Any) -> Any:
    """Hands work to nested teams, which hand it back, or to each other."""

    def decide(state: Any) -> Any:
        rounds = state.get("rounds", 0)
        goto = ("research", "writing", api.END)[min(rounds, 2)]
        return api.Command(goto=goto, update={"rounds": rounds + 1, "notes": [f"to {goto}"]})

    def search(state: Any) -> Any:
        return {"notes": [f"found {state['task']}"]}

    def hand_back(state: Any) -> Any:
        return api.Command(graph=api.Command.PARENT, goto="decide", update={"notes": ["research is back"]})

    research = api.StateGraph(Work).add_sequence([("search", search), ("hand_back", hand_back)])
    research.add_edge(api.START, "search")

    def draft(state: Any) -> Any:
        return {"notes": [f"draft of {len(state['notes'])} notes"]}

    class Writer(TypedDict, total=False):
        notes: Annotated[list[str], operator.add]

    writing = api.StateGraph(Writer).add_node("draft", draft).add_edge(api.START, "draft").compile(name="writing")
    team = research.compile(name="research")

    def write(state: Any) -> Any:
        made = writing.invoke({"notes": state["notes"]})
        return api.Command(goto="decide", update={"notes": made["notes"][len(state["notes"]) :]})

    builder = api.StateGraph(Work).add_node("decide", decide, destinations=("research", "writing", api.END))
    builder.add_node("research", team, destinations=("decide",)).add_node("writing", write, destinations=("decide",))
    return builder.add_edge(api.START, "decide")


def use_supervisor(app: Any, api: Any) -> Any:
    chunks = list(app.stream({"task": "rain"}, ON, stream_mode="updates"))
    return chunks, app.get_state(ON).values, [s.next for s in app.get_state_history(ON)]


# ---------------------------------------------------------------- people review


class Letter(TypedDict, total=False):
    text: str
    approvals: Annotated[list[str], operator.add]
    sent: bool


def review(api: Any) -> Any:
    """Two people look at a letter at once; who is against it says what to write instead."""

    def ask(who: str) -> Any:
        def node(state: Any) -> Any:
            answer = api.interrupt({"who": who, "text": state["text"]})
            if answer is True:
                return {"approvals": [who]}
            second = api.interrupt(f"{who}, really {answer!r}?")
            return {"approvals": [f"{who}: {answer} {second}"]}

        return node

    def send(state: Any) -> Any:
        return {"sent": all(":" not in each for each in state["approvals"])}

    builder = api.StateGraph(Letter).add_node("ann", ask("ann")).add_node("bob", ask("bob")).add_node("send", send)
    return builder.add_edge(api.START, "ann").add_edge(api.START, "bob").add_edge(["ann", "bob"], "send")


def use_review(app: Any, api: Any) -> Any:
    def resume(answer: Any) -> Any:
        return app.invoke(api.Command(resume=answer), ON)

    first = app.invoke({"text": "Dear all"}, ON)
    asked = {each.value["who"]: each.id for each in app.get_state(ON).interrupts}
    half = resume({asked["ann"]: True})
    between = app.get_state(ON)
    more = resume("Dear you")
    done = resume("yes")
    return (
        sorted(each.value["who"] for each in first["__interrupt__"]),
        (half.get("approvals"), [each.value for each in half["__interrupt__"]]),
        (between.next, between.values),
        [each.value for each in more["__interrupt__"]],
        done,
        app.get_state(ON).next,
    )


# ---------------------------------------------------------------- going back in time


class Story(TypedDict, total=False):
    topic: str
    lines: Annotated[list[str], operator.add]


def story(api: Any) -> Any:
    """Three lines, one after the other."""

    def line(place: str) -> Any:
        return lambda state: {"lines": [f"{place} line about {state['topic']}"]}

    builder = api.StateGraph(Story).add_sequence([(place, line(place)) for place in ("first", "second", "third")])
    return builder.add_edge(api.START, "first")


def use_story(app: Any, api: Any) -> Any:
    """Replay, fork with another state, and go on from there; what was before stays."""
    app.invoke({"topic": "rain"}, ON)
    past = next(state for state in app.get_state_history(ON) if state.next == ("second",))
    replayed = app.invoke(None, past.config)
    forked = app.update_state(past.config, {"topic": "snow", "lines": ["an edit"]})
    before = app.get_state(forked)
    other = app.invoke(None, forked)
    app.update_state(ON, {"lines": ["the end"]}, as_node="third")
    return (
        replayed,
        (before.values, before.next, before.metadata["source"]),
        other,
        app.get_state(ON).values["lines"][-1],
        [(s.metadata["source"], s.metadata["step"], s.next) for s in app.get_state_history(ON)],
    )


# ---------------------------------------------------------------- what goes wrong


class Job(TypedDict, total=False):
    number: int
    log: Annotated[list[str], operator.add]


def resilient(api: Any) -> Any:
    """A service that fails at first, one that fails for good and is handled, and work whose result is used again."""

    def flaky(state: Any, runtime: Any) -> Any:
        attempt = runtime.execution_info.node_attempt
        if attempt < 3:
            raise ConnectionError(f"attempt {attempt}")
        return {"log": [f"flaky at attempt {attempt}"]}

    flaky.__annotations__["runtime"] = api.Runtime

    def broken(state: Any) -> Any:
        raise ValueError("no such thing")

    def handled(state: Any, error: Any) -> Any:
        return api.Command(update={"log": [f"handled {error.node}: {error.error}"]}, goto="dear")

    handled.__annotations__["error"] = api.module("errors").NodeError

    def dear(state: Any) -> Any:
        return {"log": [f"worked out {state['number']}"]}

    types = api.module("types")
    quick = types.RetryPolicy(initial_interval=0.01, jitter=False, max_attempts=5)
    builder = api.StateGraph(Job).add_node("flaky", flaky, retry_policy=quick)
    builder.add_node("broken", broken, error_handler=handled, destinations=("dear",))
    builder.add_node("dear", dear, cache_policy=types.CachePolicy(key_func=lambda state: str(state["number"])))
    return builder.add_edge(api.START, "flaky").add_edge("flaky", "broken")


def use_resilient(app: Any, api: Any) -> Any:
    first = app.invoke({"number": 1}, ON)
    again = list(app.stream({"number": 1}, _on("2"), stream_mode="updates"))
    return first, again, app.get_state(ON).values


# ---------------------------------------------------------------- questions about documents


class Question(TypedDict):
    question: str


class Search(TypedDict, total=False):
    question: str
    query: str
    found: list[str]
    tries: int
    answer: str
    sources: list[str]


class Answer(TypedDict):
    answer: str
    sources: list[str]


@dataclass
class Corpus:
    """What a run may read, and how much of it."""

    most: int = 2
    language: str = "en"


DOCUMENTS = ("rain falls on hills", "snow falls in winter", "the sun shines on hills", "wind blows in winter")


def questions(api: Any) -> Any:
    """Looks for documents, looks again with fewer words if none fits, then answers with its sources."""

    def rewrite(state: Any) -> Any:
        words = state.get("query", state["question"]).split()
        return {"query": " ".join(words[1:] if state.get("tries") else words), "tries": state.get("tries", 0) + 1}

    def retrieve(state: Any, runtime: Any) -> Any:
        words = state["query"].split()
        fitting = [text for text in DOCUMENTS if words and all(word in text.split() for word in words)]
        return {"found": fitting[: runtime.context.most]}

    retrieve.__annotations__["runtime"] = api.Runtime

    def grade(state: Any) -> Literal["conclude", "rewrite"]:
        return "conclude" if state["found"] or not state["query"] else "rewrite"

    def answer(state: Any) -> Any:
        return {"answer": " / ".join(state["found"]) or "nobody knows", "sources": state["found"]}

    builder = api.StateGraph(Search, context_schema=Corpus, input_schema=Question, output_schema=Answer)
    builder.add_node("rewrite", rewrite).add_node("retrieve", retrieve).add_node("conclude", answer)
    builder.add_edge(api.START, "rewrite").add_edge("rewrite", "retrieve")
    return builder.add_conditional_edges("retrieve", grade).add_edge("conclude", api.END)


def use_questions(app: Any, api: Any) -> Any:
    return [
        app.invoke({"question": "falls"}, ON, context=Corpus()),
        app.invoke({"question": "why in winter"}, ON, context=Corpus(most=1)),
        list(app.stream({"question": "no such thing"}, ON, context=Corpus(), stream_mode="updates")),
        app.get_state(ON).values,
    ]


# ---------------------------------------------------------------- what is remembered of people


def memory(api: Any) -> Any:
    """A conversation that knows from the store what other conversations told of the same person."""

    def remember(state: Any, config: RunnableConfig, *, store: Any) -> Any:
        who = config["configurable"]["user"]
        text = state["messages"][-1].content
        if text.startswith("I like "):
            known = len(store.search((who, "likes")))
            store.put((who, "likes"), f"{known}", {"what": text.removeprefix("I like ")})
        likes = [item.value["what"] for item in store.search((who, "likes"))]
        return {"messages": [AIMessage(f"{who} likes {', '.join(sorted(likes)) or 'nothing'}")]}

    remember.__annotations__["store"] = api.module("store.base").BaseStore
    return api.StateGraph(api.MessagesState).add_node("remember", remember).add_edge(api.START, "remember")


def use_memory(app: Any, api: Any) -> Any:
    def tell(thread: str, user: str, text: str) -> Any:
        config = {"configurable": {"thread_id": thread, "user": user}}
        return said(app.invoke({"messages": [("user", text)]}, config)["messages"])

    return (
        tell("a", "ann", "I like rain"),
        tell("b", "ann", "I like snow"),
        tell("c", "bob", "hello"),
        tell("a", "ann", "hello again"),
    )


# ---------------------------------------------------------------- live answers


def speaking(api: Any) -> Any:
    """Two nodes whose models speak piece by piece, and a note of what was said."""
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel

    def speak(text: str) -> Any:
        def node(state: Any) -> Any:
            model = GenericFakeChatModel(messages=iter([AIMessage(text)]))
            return {"messages": [model.invoke(state["messages"])]}

        return node

    def note(state: Any, writer: Any) -> Any:
        writer({"said": [message.content for message in state["messages"]]})

    note.__annotations__["writer"] = api.module("types").StreamWriter
    builder = api.StateGraph(api.MessagesState)
    builder.add_sequence([("greet", speak("hello my dear")), ("part", speak("good bye now")), ("note", note)])
    return builder.add_edge(api.START, "greet")


def use_speaking(app: Any, api: Any) -> Any:
    given = {"messages": [("user", "hi")]}
    pieces = [
        (message.content, about["langgraph_node"]) for message, about in app.stream(given, ON, stream_mode="messages")
    ]
    modes = [
        (mode, chunk if mode == "custom" else None)
        for mode, chunk in app.stream(given, _on("2"), stream_mode=["messages", "custom"])
    ]
    return pieces, modes, said(app.get_state(ON).values["messages"])


# ---------------------------------------------------------------- a workflow of functions


def workflow(api: Any) -> Any:
    """Works things out side by side, asks whether to go on, and remembers the last result. Takes what to compile with."""
    func = api.module("func")

    @func.task
    def work_out(number: int) -> int:
        return number * number

    @func.task(name="describe")
    def name(number: int) -> str:
        return f"the number {number}"

    class Workflow:
        """Something to compile."""

        def compile(self, **options: Any) -> Any:
            options.pop("name", None)

            @func.entrypoint(**options)
            def workflow(given: dict[str, Any], *, previous: Any = None) -> Any:
                numbers = [future.result() for future in [work_out(each) for each in given["numbers"]]]
                text = name(sum(numbers)).result()
                answer = api.interrupt(f"{text}?")
                result = {"numbers": numbers, "text": text, "answer": answer, "before": previous}
                return func.entrypoint.final(value=result, save=sum(numbers))

            return workflow

    return Workflow()


def use_workflow(app: Any, api: Any) -> Any:
    asked = app.invoke({"numbers": [1, 2, 3]}, ON)["__interrupt__"][0].value
    first = app.invoke(api.Command(resume="yes"), ON)
    second = app.invoke({"numbers": [4]}, ON)["__interrupt__"][0].value
    return asked, first, second, app.invoke(api.Command(resume="no"), ON), app.get_state(ON).next


PROGRAMS = {
    "agent": (agent, use_agent),
    "map_reduce": (map_reduce, use_map_reduce),
    "supervisor": (supervisor, use_supervisor),
    "review": (review, use_review),
    "story": (story, use_story),
    "resilient": (resilient, use_resilient),
    "questions": (questions, use_questions),
    "memory": (memory, use_memory),
    "speaking": (speaking, use_speaking),
    "workflow": (workflow, use_workflow),
    "commanded": (commanded, use_commanded),
}
