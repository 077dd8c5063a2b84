"""A person in the loop: `interrupt` asks and the run rests; `Command(resume=answer)` lets it go on.

    START -> draft -> review -> publish -> END
               ^        |
               └────────┘ not approved

While a run rests it takes up no worker: it is a checkpoint and nothing else, for a minute or for a month. The node
that asked starts over when the answer is there, and this time `interrupt` returns it; so do nothing before the
question that must not be done twice. Pausing needs a checkpointer. Bound to a cluster there is one; in one process:

    >>> from distgraph.checkpoint.memory import InMemorySaver
    >>> here = build().compile(checkpointer=InMemorySaver())
    >>> config = {"configurable": {"thread_id": "1"}}
    >>> asked = here.invoke({"topic": "rain"}, config)
    >>> asked["__interrupt__"][0].value["question"]
    'Publish this?'
    >>> from distgraph.types import Command
    >>> again = here.invoke(Command(resume={"approved": False, "comment": "mention snow"}), config)
    >>> here.invoke(Command(resume={"approved": True}), config)["published"]
    'About rain (mention snow)'
"""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal, TypedDict

from distgraph import END, START, StateGraph
from distgraph.types import Command, interrupt


class State(TypedDict, total=False):
    topic: str
    text: str
    comments: Annotated[list[str], operator.add]
    published: str


def draft(state: State) -> State:
    """Write, minding what reviewers said so far."""
    remarks = f" ({'; '.join(state['comments'])})" if state.get("comments") else ""
    return {"text": f"About {state['topic']}{remarks}"}


def review(state: State) -> Command[Literal["draft", "publish"]]:
    """Ask a person. The answer decides where to go: a `Command` is an update and a way in one."""
    answer = interrupt({"question": "Publish this?", "text": state["text"]})
    if answer["approved"]:
        return Command(goto="publish")
    return Command(goto="draft", update={"comments": [answer["comment"]]})


def publish(state: State) -> State:
    """Reached only with a person's consent."""
    return {"published": state["text"]}


def build() -> StateGraph[Any, Any, Any, Any]:
    """The graph, not yet compiled."""
    builder = StateGraph(State)
    builder.add_node("draft", draft)
    builder.add_node("review", review)
    builder.add_node("publish", publish)
    builder.add_edge(START, "draft")
    builder.add_edge("draft", "review")
    builder.add_edge("publish", END)
    return builder


graph = build().compile(name="human_review")
