"""What is known of a superstep that another program left half done, as fields of a run's record."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.cluster.going_on import what_is_known
from distgraph.cluster.registry import codec_for
from distgraph.errors import UnknownInterruptError
from tests.unit.cluster.small import Counted, ask, chain, fan

pytestmark = pytest.mark.unit

THREAD: Any = {"configurable": {"thread_id": "t"}}


def known(graph: Any, answer: Any) -> tuple[dict[str, Any], str, Any]:
    """What is known after the graph ran here: decoded, the head, the head's id as saved."""
    saver = InMemorySaver()
    here = graph.copy({"checkpointer": saver})
    here.invoke({"x": 1}, THREAD)
    saved = saver.get_tuple(THREAD)
    assert saved is not None
    codec = codec_for(graph)
    found, head = what_is_known(graph.program, codec, saved, answer)
    return {name: codec.decode(data) for name, data in found.items()}, head, saved.checkpoint["id"]


def test_an_answer_goes_to_who_asked_and_what_finished_beside_it_stays() -> None:
    found, head, at = known(fan(Counted("a"), Counted("b", ask("sure?"))), "yes")
    assert head == at
    (wrote,) = (value for name, value in found.items() if name.startswith("o:"))
    assert ["trail", ["a"]] in wrote
    assert [value for name, value in found.items() if name.startswith("n:")] == [{"before": ["yes"], "given": {}}]


def test_without_an_answer_what_finished_is_known() -> None:
    found, head, at = known(fan(Counted("a"), Counted("b", ask("sure?"))), None)
    assert {name[:2] for name in found} == {"o:"}
    assert head == at


def test_where_nothing_is_asked_nothing_is_answered() -> None:
    assert known(chain(Counted("a")), "yes")[:2] == ({}, "")
    assert what_is_known(chain(Counted("a")).program, codec_for(), None, "yes") == ({}, "")


def test_an_answer_to_another_question() -> None:
    with pytest.raises(UnknownInterruptError, match="Unknown or already-consumed"):
        known(chain(Counted("b", ask("sure?"))), {"0" * 32: "yes"})
