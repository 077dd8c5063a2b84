"""A run rests until a person has answered."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.examples.human_review import build
from distgraph.types import Command

pytestmark = pytest.mark.unit


def test_nothing_is_published_before_a_person_agrees() -> None:
    graph = build().compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}

    asked = graph.invoke({"topic": "rain"}, config)
    assert "published" not in asked
    assert asked["__interrupt__"][0].value == {"question": "Publish this?", "text": "About rain"}
    assert graph.get_state(config).next == ("review",)

    assert graph.invoke(Command(resume={"approved": True}), config)["published"] == "About rain"
    assert graph.get_state(config).next == ()


def test_every_refusal_leads_back_to_a_draft_that_minds_it() -> None:
    graph = build().compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    graph.invoke({"topic": "rain"}, config)

    for comment in ("shorter", "mention snow"):
        asked = graph.invoke(Command(resume={"approved": False, "comment": comment}), config)
    assert asked["__interrupt__"][0].value["text"] == "About rain (shorter; mention snow)"
