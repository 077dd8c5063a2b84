"""Input, None or Command + stored checkpoint -> where the run starts.

``opening`` is a generator of saver calls: it yields (method, arguments) and is sent what the saver returned, so that
both engines share it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distgraph.checkpoint.base import NULL_TASK_ID, from_public
from distgraph.constants import ERROR, ERROR_SOURCE, INPUT, INTERRUPT, NS_END, RESUME, SLEEP
from distgraph.engine.context import Replay
from distgraph.engine.messages import with_message_ids
from distgraph.engine.savers import Calls
from distgraph.engine.session import Session
from distgraph.errors import EmptyInputError, InvalidUpdateError
from distgraph.superstep.advance import Rules, look, restore, resumed
from distgraph.superstep.apply import Bump, apply_writes
from distgraph.superstep.identity import ticks_of
from distgraph.superstep.model import EMPTY, Checkpoint, Program, Task
from distgraph.superstep.plan import handler_task, plan
from distgraph.superstep.resume import Given, answers_of, give_answers
from distgraph.superstep.routing import goto_writes, update_pairs
from distgraph.types import Command, Write

#: task id -> what it wrote
Pending = dict[str, list[Write]]


def opening(session: Session) -> Calls[None]:
    """Bring ``session`` to its first superstep.

    Raises:
        EmptyInputError: nothing to run, nothing to resume.
        InvalidUpdateError: input that the channels do not accept.
        UnknownInterruptError: an answer without its question.
    """
    start = _Opening(session)
    if session.saver is not None:
        yield from start.load()
    start.go()


class _Opening:
    def __init__(self, session: Session) -> None:
        self.session = session
        self.program = session.program
        self.ctx = session.ctx
        self.place = session.place
        self.pending: Pending = {}
        self.metadata: Mapping[str, Any] = {}
        #: The caller, or a replaying parent, named the checkpoint.
        self.addressed = bool(session.place.wanted)
        #: A replaying parent takes the graph back: it takes its input anew.
        self.replays = False
        #: It goes back to an earlier checkpoint.
        self.travelling = False
        #: The thread has gone on from the checkpoint that was named.
        self.superseded = False

    # ------------------------------------------------------------ what is stored

    def load(self) -> Calls[None]:
        session, wanted = self.session, self.place.wanted
        replay = self.ctx.replay = self._replay_of_parent()
        if replay is not None and not wanted:
            self.addressed = self.replays = True
        if replay is not None and not wanted and replay.first_visit(self.ctx.ns):
            before = {"configurable": {"thread_id": self.place.thread_id, "checkpoint_id": replay.before}}
            found = yield ("list", (session.address(None), before, 1, None))
            saved = found[0] if found else None
        else:
            saved = yield ("get_tuple", (session.address(wanted),))
        if saved is None:
            return
        at = from_public(saved)
        self.metadata = saved.metadata
        for task_id, channel, value in saved.pending_writes or ():
            self.pending.setdefault(task_id, []).append((channel, value))
        ticks = ticks_of(at.id)
        if wanted:
            latest = yield ("get_tuple", (session.address(None),))
            self.superseded = latest is not None and latest.checkpoint["id"] != at.id
            ticks = max(ticks, ticks_of(latest.checkpoint["id"]) if latest is not None else 0)
        session.loaded(at, saved.metadata, ticks)

    def _replay_of_parent(self) -> Replay | None:
        return self.place.scope.ctx.replay if self.place.scope is not None else None

    # ------------------------------------------------------------ where to start

    def go(self) -> None:
        session, request, ctx = self.session, self.session.request, self.ctx
        before = request.interrupt_before or self.program.interrupt_before
        after = request.interrupt_after or self.program.interrupt_after
        ctx.stop = session.at.step + 2 + self.place.recursion_limit
        session.rules = Rules(ctx.stop, _stops(before), _stops(after))
        given = request.input
        command = given if isinstance(given, Command) else None
        resuming = bool(session.at.versions) and self._resumes(given)
        travelling = self.travelling = self._travels(command)
        forks = resuming and travelling and (self.metadata.get("source") not in ("update", "fork") or self.superseded)
        if travelling:
            self._forget(RESUME)
        elif self.superseded:
            # Its tasks run again: what they asked waits again, and what they came to then is no part of this line.
            self._keep_only(INTERRUPT, RESUME)
        writes = command_writes(self.program, command) if command is not None else []
        if outside := [*self.pending.get(NULL_TASK_ID, ()), *writes]:
            session.at = apply_outside(self.program, session.at, outside, session._bump)
            session.growth.rewrote(channel for channel, _ in outside)
        if command is not None and command.resume is not None:
            # After what came with it: tasks that this replaced wait for no answer any more.
            self._take_answers(command.resume)
        if writes and session.saver is not None and not forks:
            session.keep_from_outside(NULL_TASK_ID, outside)
        if resuming:
            self._resume(forks, travelling)
        elif given is not None:
            self._take_input(given)
        elif self.place.scope is None:
            if self.place.wanted:
                raise EmptyInputError(
                    f"Thread {self.place.thread_id!r} has no checkpoint {self.place.wanted!r} to go on from. Look at the ids "
                    "in get_state_history, or pass an input."
                )
            raise EmptyInputError(
                f"Received no input for {self.program.inputs}: this thread has nothing to resume. Pass an input."
            )
        ctx.resuming = resuming
        replaying = travelling or self.superseded
        following = look(
            self.program, session.at, session.rules, pending=None if replaying else self.pending, ns=ctx.ns
        )
        session.tasks = following.tasks
        if not replaying:
            self._hand_over(session.tasks)
        self._hand_back_answers(session.tasks)
        self._hand_back_sleeps()
        session.begin(following, self.pending)
        if resuming:
            session.resumed()

    def _resumes(self, given: Any) -> bool:
        if given is None or isinstance(given, Command):
            return True
        scope = self.place.scope
        if scope is not None:
            again = not self.replays and (scope.ctx.resuming or scope.attempt > 1)
            return again and not self._of_other_task()
        run_id = (self.place.config.get("metadata") or {}).get("run_id") or self.place.configurable.get("run_id")
        return run_id is not None and run_id == self.metadata.get("run_id")

    def _of_other_task(self) -> bool:
        """Whether a history that tasks share was left there by another task than the one that runs the graph now."""
        shared = self.ctx.unsure and NS_END not in self.ctx.ns
        return shared and self.metadata.get("parents") != self.session._parents()

    def _travels(self, command: Command[Any] | None) -> bool:
        """Whether the run goes back to an earlier checkpoint instead of going on from where the thread stopped."""
        if not self.addressed:
            return False
        scope = self.place.scope
        if scope is not None and self.ctx.ns in (self.place.configurable.get("checkpoint_map") or {}):
            return True
        answered = command is not None and command.resume is not None
        return not (answered or (scope is not None and scope.ctx.resuming and not self.replays))

    def _planned(self) -> list[Task]:
        """The tasks that may have asked: those planned, and error handlers of those that failed."""
        tasks = plan(self.program, self.session.at, self.ctx.ns)
        handlers = [handler_task(self.program, task) for task in tasks if task.node.error_handler]
        return [*tasks, *(handler for handler in handlers if handler is not None)]

    def _forget(self, channel: str) -> None:
        self.pending = {task_id: [w for w in writes if w[0] != channel] for task_id, writes in self.pending.items()}

    def _keep_only(self, *channels: str) -> None:
        self.pending = {
            task_id: writes if task_id == NULL_TASK_ID else [write for write in writes if write[0] in channels]
            for task_id, writes in self.pending.items()
        }

    def _resume(self, forks: bool, travelling: bool) -> None:
        session = self.session
        before = session.at.id
        if self.metadata.get("source") in ("update", "fork") and session.at.parent:
            before = session.at.parent
        session.at = resumed(session.at)
        if forks:
            # The questions of the original wait there, not here.
            self._forget(INTERRUPT)
            session.fork()
        if travelling and self.place.scope is None:
            self.ctx.replay = Replay(before)
        session.output(session.at)

    def _take_input(self, given: Any) -> None:
        session = self.session
        writes = input_writes(self.program, given)
        discarded = plan(self.program, session.at, self.ctx.ns) if session.at is not EMPTY else []
        session.take_input(outside_task(session.at, writes), discarded)
        self.pending.clear()

    # ------------------------------------------------------------ commands and answers

    def _take_answers(self, resume: Any) -> None:
        session = self.session
        if session.saver is None:
            raise RuntimeError(
                "Cannot use Command(resume=...) without checkpointer: nothing remembers what the graph asked. Compile "
                "it with one."
            )
        strict = bool(self.place.configurable.get("__pregel_strict_resume")) and self.place.scope is None
        tasks = self._planned()
        given = give_answers(tasks, self.pending, resume, strict=strict and not self.superseded)
        for task_id, answers in given.tasks.items():
            self.pending.setdefault(task_id, []).append((RESUME, answers))
            session.keep_from_outside(task_id, [(RESUME, answers)])
        self._pass_on(given)
        self.ctx.loose += given.loose

    def _pass_on(self, given: Given) -> None:
        """Leave answers to nested graphs."""
        self.ctx.resume_map.update(given.nested)
        self.ctx.askers.update(given.askers)

    def _hand_over(self, tasks: Sequence[Task]) -> None:
        """Tasks whose error handlers had taken over do not run again; the handlers do, unless they had finished."""
        for failed in [*tasks]:
            writes = self.pending.get(failed.id, ())
            if failed.finished or not any(channel == ERROR_SOURCE for channel, _ in writes):
                continue
            text = next((value for channel, value in writes if channel == ERROR), "")
            handler = self.session.take_over(failed, Exception(text), [(ERROR, text), (ERROR_SOURCE, failed.name)])
            if handler is not None:
                restore([handler], self.pending)

    def _hand_back_answers(self, tasks: Sequence[Task]) -> None:
        scope = self.place.scope
        if scope is not None and scope.ctx.resume_map:
            own, askers = scope.task.id, scope.ctx.askers
            answers = {iid: answer for iid, answer in scope.ctx.resume_map.items() if askers.get(iid, own) == own}
            self._take_answers_of_parent(tasks, answers)
        if not self.pending:
            return
        for task in tasks:
            if not task.finished and (earlier := answers_of(self.pending.get(task.id, ()))):
                self.session.answers[task.id] = earlier

    def _hand_back_sleeps(self) -> None:
        if not self.ctx.naps.waits:
            return
        for task_id, writes in self.pending.items():
            for channel, value in writes:
                if channel == SLEEP:
                    self.ctx.naps.load(task_id, value)

    def _take_answers_of_parent(self, tasks: Sequence[Task], answers: dict[str, Any]) -> None:
        if self.session.saver is None:
            # It starts anew and remembers no question: it asks again, in the same order.
            self.ctx.loose = [*self.ctx.loose, *answers.values()]
            return
        given = give_answers(tasks, self.pending, answers)
        moved = self.travelling or self.metadata.get("source") in ("update", "fork")
        if moved and len(answers) == 1 and not given.tasks and not given.nested:
            # It went back to before the question, or was edited since: what it asks has another id now.
            self.ctx.loose = [*self.ctx.loose, *answers.values()]
        for task_id, own in given.tasks.items():
            self.pending.setdefault(task_id, []).append((RESUME, own))
            self.session.keep_from_outside(task_id, [(RESUME, own)])
        self._pass_on(given)


def command_writes(program: Program, command: Command[Any]) -> list[Write]:
    """What a ``Command`` given from outside writes; keys that the graph does not have are dropped.

    Raises:
        InvalidUpdateError: it is for a parent graph, or goes to a node that the graph does not have.
        EmptyInputError: there is nothing in it.
    """
    if command.graph == Command.PARENT:
        raise InvalidUpdateError("There is no parent graph: only nodes of a nested graph return such a Command.")
    updates = [pair for pair in update_pairs(command.update) if pair[0] in program.channels]
    if program.deltas:
        updates = with_message_ids(program, updates)
    writes = [*goto_writes(command.goto, program.nodes, "The Command"), *updates] if command.goto else updates
    if not writes and command.resume is None:
        raise EmptyInputError(
            "Received empty Command input: it has no resume, no goto to a node, and no update of a key that the graph has."
        )
    return writes


def input_writes(program: Program, given: Any) -> list[Write]:
    """What an input writes.

    Raises:
        InvalidUpdateError: the graph takes several channels, and the input is no dict or has none of them.
    """
    inputs = program.inputs
    if isinstance(inputs, str):
        return with_message_ids(program, [(inputs, given)])
    if not isinstance(given, Mapping):
        raise InvalidUpdateError(
            f"Expected the input to be a dict of {', '.join(map(repr, inputs))}, got {type(given).__name__}."
        )
    writes = [(key, value) for key, value in given.items() if key in inputs]
    if not writes:
        found = ", ".join(map(repr, given)) or "no keys"
        raise EmptyInputError(f"Received no input for {inputs}: the dict has {found}.")
    return with_message_ids(program, writes) if program.deltas else writes


def apply_outside(program: Program, at: Checkpoint, writes: Sequence[Write], bump: Bump) -> Checkpoint:
    """``at`` with what came from outside its tasks; still the same checkpoint, and before the same superstep."""
    after = apply_writes(program, at, [outside_task(at, writes)], bump, new_id=at.id)
    updated = None if at.updated is None or after.updated is None else at.updated | after.updated
    return at._replace(
        values=after.values, versions=after.versions, seen={**at.seen, **after.seen}, updated=updated, clock=after.clock
    )


def outside_task(at: Checkpoint, writes: Sequence[Write]) -> Task:
    """What stands for writes from outside among the tasks of a superstep: applied first, and woken by nothing."""
    task = Task(None, (), (), at, name=INPUT)
    task.writes = list(writes)
    return task


def _stops(stops: Any) -> Any:
    return stops if stops == "*" else tuple(stops)
