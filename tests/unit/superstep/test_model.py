"""The values the algebra works on."""

from __future__ import annotations

import pytest

from distgraph.channels import EphemeralValue, LastValue, LastValueAfterFinish, NamedBarrierValue, UntrackedValue
from distgraph.constants import ERROR, INTERRUPT, NO_WRITES, RESUME
from distgraph.superstep.model import EMPTY, Node, Task, is_finished, make_program

pytestmark = pytest.mark.unit


def node(name: str, *triggers: str) -> Node:
    return Node(name=name, triggers=triggers, reads=(), action=None, writer=lambda output: [])


@pytest.mark.parametrize(
    ("writes", "finished"),
    [
        ([], False),
        ([("n", 1)], True),
        ([(NO_WRITES, None)], True),
        ([(INTERRUPT, ()), (RESUME, [])], False),
        ([(ERROR, "x")], False),
        ([(ERROR, "x"), ("n", 1)], True),
    ],
)
def test_a_task_has_finished_when_it_wrote_something_itself(writes: list[tuple[str, object]], finished: bool) -> None:
    """Control writes tell how it settled; they are no output."""
    assert is_finished(writes) is finished
    task = Task(node("a"), ("p",), (), EMPTY)
    task.writes = writes
    assert task.finished is finished


def test_the_last_control_write_counts() -> None:
    task = Task(node("a"), ("p",), (), EMPTY)
    task.writes = [(ERROR, "first"), (ERROR, "second")]
    assert task.control(ERROR) == "second"
    assert task.control(RESUME, "none") == "none"


def test_a_program_knows_whom_a_channel_wakes_and_which_rules_are_special() -> None:
    program = make_program(
        "p",
        {"b": node("b", "x", "y"), "a": node("a", "x")},
        {
            "x": EphemeralValue(),
            "y": LastValueAfterFinish(),
            "j": NamedBarrierValue(str, {"a"}),
            "u": UntrackedValue(),
            "n": LastValue(),
        },
        inputs="x",
        outputs=("n",),
        streamed=("n",),
        interrupt_before=["a"],
        interrupt_after="*",
    )
    assert program.woken_by == {"x": ("a", "b"), "y": ("b",)}
    assert program.transient == {"x"}
    assert program.finishing == ("y",)
    assert program.consumable == {"y", "j"}
    assert program.untracked == {"u"}
    assert (program.interrupt_before, program.interrupt_after) == (("a",), "*")
    assert program.channels["n"].key == "n"


def test_a_task_is_named_by_its_checkpoint_and_place() -> None:
    """And so are its namespace, and the key it offers to services that deduplicate."""
    at = EMPTY._replace(id="c1", step=2)
    task = Task(node("a"), ("__pregel_pull", "a"), (), at)
    same = Task(node("a"), ("__pregel_pull", "a"), (), at._replace(values={"n": 1}))
    other = Task(node("a"), ("__pregel_pull", "a"), (), at._replace(id="c2"))
    assert task.id == same.id != other.id
    assert task.step == 3
    assert task.checkpoint_ns == f"a:{task.id}"
    assert task.idempotency_key("r") == other.idempotency_key("r") != task.idempotency_key("r2")
    calls = [Task(node("b"), ("__pregel_push", by.path, 0, True), (), by.at, by.checkpoint_ns) for by in (task, other)]
    assert calls[0].idempotency_key("r") == calls[1].idempotency_key("r") != task.idempotency_key("r")
    assert repr(task) == "Task(a, ('__pregel_pull', 'a'), step=3, writes=0)"
