"""What one execution of a node can see, made when it asks: most nodes never look at their config or Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from time import time
from typing import TYPE_CHECKING, Any

from distgraph.constants import NS_SEP, PREVIOUS
from distgraph.engine.answers import checked, shown_schema
from distgraph.engine.limits import limits_of
from distgraph.engine.tokens import TokenHandler, for_models
from distgraph.errors import GraphSleep, InvalidUpdateError, NodeError
from distgraph.runtime import ExecutionInfo, Runtime, TaskScope
from distgraph.suggestions import did_you_mean
from distgraph.superstep.identity import interrupt_id
from distgraph.superstep.model import Node, Program, Task
from distgraph.superstep.views import read_channel
from distgraph.types import MISSING, Interrupt, StreamWriter, Write

if TYPE_CHECKING:
    from distgraph.engine.context import RunContext


class NodeScope(TaskScope):
    """The scope of one attempt of one task of one run.

    Attributes:
        ctx: the run.
        task: the task.
        attempt: counts from 1.
        first_attempt_time: seconds since the epoch; None: this is the first attempt, look at the clock when asked.
        error: what an error handler is to handle.
        progress: tells an idle limit that the attempt makes progress; None: there is no limit.
        calls: tasks that this attempt called so far.
        sent: what the node wrote before it returned.
        told: the run that callback handlers know this attempt as; None: nobody is told.
    """

    __slots__ = (
        *(
            "_config",
            "_runtime",
            "attempt",
            "calls",
            "ctx",
            "error",
            "first_attempt_time",
            "progress",
            "sent",
            "task",
            "told",
        ),
    )

    def __init__(
        self,
        ctx: RunContext,
        task: Task,
        answers: Sequence[Any] = (),
        attempt: int = 1,
        first_attempt_time: float | None = None,
    ) -> None:
        self.ctx = self.session = ctx
        self.task = task
        self.answers = list(answers) if answers else []
        self.questions = count()
        self.napped = 0
        self.children = 0
        self.attempt = attempt
        self.first_attempt_time = first_attempt_time
        self.error: NodeError | None = None
        self.progress: Callable[[], None] | None = None
        self.calls = 0
        self.sent: list[Write] = []
        self.told: Any = None
        self._config: dict[str, Any] | None = None
        self._runtime: Runtime[Any] | None = None

    @property
    def ns(self) -> str:  # type: ignore[override]
        """The task's checkpoint namespace."""
        return self.task.checkpoint_ns

    @property
    def config(self) -> dict[str, Any]:  # type: ignore[override]
        """The task's config, as a parameter named ``config`` receives it."""
        if self._config is None:
            self._config = for_models(self, self.ctx.config_of(self.task))
        return self._config

    def trace(self, run: Any) -> None:
        """Callback handlers know this attempt as ``run``: what it calls is inside of that."""
        self.told, self._config = run, None

    @property
    def runtime(self) -> Runtime[Any]:  # type: ignore[override]
        """The task's Runtime."""
        if self._runtime is None:
            self._runtime = self._make_runtime()
        return self._runtime

    def ask(self, value: Any, response_schema: Any) -> Any:
        index = next(self.questions)
        if index >= len(self.answers):
            known, answer = self.ctx.take_answer()
            if known:
                self.answers.append(answer)
        shown = shown_schema(response_schema)
        answer = self.answer(index, value, shown)
        if response_schema is None:
            return answer
        return checked(answer, response_schema, index, Interrupt(value, interrupt_id(self.ns, index), shown))

    def nap(self, asleep: GraphSleep) -> None:
        self.ctx.naps.nap(self.task, asleep)

    def next_child_ns(self) -> str:
        """The namespace of the next graph this attempt runs: the task's own, then numbered."""
        index, self.children = self.children, self.children + 1
        return f"{self.ns}{NS_SEP}{index}" if index else self.ns

    def next_call(self) -> int:
        """The number of the next task this attempt calls."""
        index, self.calls = self.calls, self.calls + 1
        return index

    def start(self, node: Node, arg: Any) -> Any:
        children = self.ctx.children
        if children is None:
            raise RuntimeError(f"Task {node.name!r} was called where no tasks run: call it from a running node.")
        return children.start(self, node, arg)

    def send(self, key: str, value: Any) -> None:
        known = self.ctx.program.channels
        if key not in known:
            raise InvalidUpdateError(
                f"Node {self.task.name!r} wrote to the key {key!r}, which the graph does not have."
                f"{did_you_mean(key, [name for name in known if ':' not in name])}"
            )
        self.sent.append((key, value))

    def show(self, message: Any) -> None:
        if self.ctx.emit is not None and "messages" in self.ctx.modes:
            TokenHandler(self.ctx, self.config["metadata"]).show(message)

    def made_progress(self) -> None:
        """Something came out of the node, or of a graph it runs: idle limits that count that start anew."""
        if self.progress is not None:
            limits = limits_of(self.task)
            if limits is not None and limits.refresh_on == "auto":
                self.progress()
        if self.ctx.around is not None:
            self.ctx.around()

    def _writer(self) -> StreamWriter:
        write = self.ctx.writer or self.ctx.runtime.stream_writer
        if self.progress is None and self.ctx.around is None:
            return write

        def write_and_tell(chunk: Any) -> None:
            self.made_progress()
            write(chunk)

        return write_and_tell

    def _make_runtime(self) -> Runtime[Any]:
        ctx, task, base = self.ctx, self.task, self.ctx.runtime
        info = ExecutionInfo(
            checkpoint_id=task.at.id,
            checkpoint_ns=task.checkpoint_ns,
            task_id=task.id,
            thread_id=ctx.thread_id,
            run_id=ctx.run_id or None,
            node_attempt=self.attempt,
            node_first_attempt_time=self.first_attempt_time or time(),
        )
        return Runtime(
            context=base.context,
            store=base.store,
            stream_writer=self._writer(),
            heartbeat=self.progress or base.heartbeat,
            previous=previous_of(ctx.program, task) if PREVIOUS in ctx.program.channels else base.previous,
            execution_info=info,
            server_info=base.server_info,
            control=base.control,
            # Without a run id the checkpoint names the task: the same for every attempt, also after a restart.
            idempotency_key=task.idempotency_key(ctx.run_id) if ctx.run_id else task.id,
            effects=base.effects,
            is_cancelled=base.is_cancelled,
        )


def previous_of(program: Program, task: Task) -> Any:
    """What the functional API saved for this run of the thread; None in the first."""
    saved = read_channel(program, task.at.values, PREVIOUS)
    return None if saved is MISSING else saved
