"""The methods that look at a thread's checkpoints and change them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from distgraph.config import RunnableConfig, ensure_config
from distgraph.superstep.model import Program
from distgraph.types import StateSnapshot, StateUpdate

if TYPE_CHECKING:
    from distgraph.engine.states import States


class HasThreads(Protocol):
    """What the methods need of a graph."""

    program: Program
    name: str
    config: RunnableConfig | None
    checkpointer: Any

    def _states(self) -> States: ...


class Threads:
    """The state methods. All of them raise ``ValueError`` for a graph that keeps no state."""

    def _states(self: HasThreads) -> States:
        from distgraph.engine.states import States

        return States(self.program, self.checkpointer, name=self.name)

    def get_state(self: HasThreads, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """The state of a thread: its latest, or with a ``checkpoint_id`` the state as it was recorded.

        Args:
            config: ``configurable.thread_id`` names the thread, ``checkpoint_ns`` a nested graph's part of it.
            subgraphs: nested graphs' states too, as ``state`` of the tasks that wait for them.
        """
        return self._states().get(ensure_config(self.config, config), subgraphs=subgraphs)

    async def aget_state(self: HasThreads, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """``get_state`` under an event loop."""
        return await self._states().aget(ensure_config(self.config, config), subgraphs=subgraphs)

    def get_state_history(
        self: HasThreads,
        config: RunnableConfig,
        *,
        filter: Mapping[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[StateSnapshot]:
        """The recorded states of a thread, newest first.

        Args:
            config: as ``get_state``.
            filter: metadata that must be equal.
            before: only states older than the checkpoint this config names.
            limit: at most so many.
        """
        merged = ensure_config(self.config, config)
        yield from self._states().history(merged, filter=filter, before=before, limit=limit)

    async def aget_state_history(
        self: HasThreads,
        config: RunnableConfig,
        *,
        filter: Mapping[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[StateSnapshot]:
        """``get_state_history`` under an event loop."""
        merged = ensure_config(self.config, config)
        async for snapshot in self._states().ahistory(merged, filter=filter, before=before, limit=limit):
            yield snapshot

    def update_state(
        self: HasThreads,
        config: RunnableConfig,
        values: Any,
        as_node: str | None = None,
        task_id: str | None = None,
    ) -> RunnableConfig:
        """Change a thread's state as if node ``as_node`` had returned ``values``; its edges are followed too.

        Args:
            config: as ``get_state``; with a ``checkpoint_id`` the change forks from there.
            values: what a node could return; None with ``as_node=END`` gives up what waits.
            as_node: the node that is to have written; by default the one that ran last, if that is clear.
            task_id: the task of the superstep that is to have written.

        Returns:
            The config that names the new checkpoint.

        Raises:
            InvalidUpdateError: the node is unknown or not clear, or a channel does not accept the values.
        """
        merged = ensure_config(self.config, config)
        found: RunnableConfig = self._states().update(merged, [[StateUpdate(values, as_node, task_id)]])
        return found

    async def aupdate_state(
        self: HasThreads,
        config: RunnableConfig,
        values: Any,
        as_node: str | None = None,
        task_id: str | None = None,
    ) -> RunnableConfig:
        """``update_state`` under an event loop."""
        merged = ensure_config(self.config, config)
        found: RunnableConfig = await self._states().aupdate(merged, [[StateUpdate(values, as_node, task_id)]])
        return found

    def bulk_update_state(
        self: HasThreads, config: RunnableConfig, supersteps: Sequence[Sequence[StateUpdate]]
    ) -> RunnableConfig:
        """Several changes: each inner list is one superstep, its updates are applied together.

        Returns:
            The config that names the last new checkpoint.

        Raises:
            ValueError: no supersteps, or one without updates.
            InvalidUpdateError: as ``update_state``.
        """
        found: RunnableConfig = self._states().update(ensure_config(self.config, config), supersteps)
        return found

    async def abulk_update_state(
        self: HasThreads, config: RunnableConfig, supersteps: Sequence[Sequence[StateUpdate]]
    ) -> RunnableConfig:
        """``bulk_update_state`` under an event loop."""
        found: RunnableConfig = await self._states().aupdate(ensure_config(self.config, config), supersteps)
        return found
