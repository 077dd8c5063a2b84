"""What users write to get views of a run of their own: a transformer sees every event, and fills channels."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from distgraph.stream.events import ProtocolEvent

if TYPE_CHECKING:
    from distgraph.stream.mux import StreamMux

_ASYNC_HOOKS = ("aprocess", "afinalize", "afail")


class StreamTransformer(ABC):
    """Sees the events of one graph's run, in order, and makes projections of them.

    A class is given to ``compile(transformers=[...])`` or ``stream_events(..., transformers=[...])``, and made anew for
    every run, and for every graph nested in it: with the namespace of the graph as its one argument. Override ``init``
    and ``process`` (or ``aprocess``). With ``_native = True`` its projections are attributes of the run too.

    Attributes:
        scope: namespace of the graph that it watches; () is the run's own.
        requires_async: it works in async runs alone, because it uses ``schedule``. Who overrides ``aprocess``,
            ``afinalize`` or ``afail`` need not say so.
        supports_sync: it works in sync runs although it overrides one of them.
        required_stream_modes: stream modes that it reads. A run streams what its transformers read, and no more.
        before_builtins: it sees an event before the projections every run has do, and may change it. It must leave the
            namespaces alone, and what ``tasks`` events say: nested graphs are followed by these.
    """

    requires_async: ClassVar[bool] = False
    supports_sync: ClassVar[bool] = False
    required_stream_modes: ClassVar[tuple[str, ...]] = ()
    before_builtins: ClassVar[bool] = False
    _native: ClassVar[bool] = False

    def __init__(self, scope: tuple[str, ...] = ()) -> None:
        self.scope = scope

    @abstractmethod
    def init(self) -> dict[str, Any]:
        """The projections by name: they are in ``run.extensions``. Channels among them end with the run."""

    def registered(self, mux: StreamMux) -> None:  # noqa: B027 - a hook: most need none
        """The transformer is part of a run now, of whose events it gets those that ``mux`` hands on."""

    # ------------------------------------------------------------ events

    def process(self, event: ProtocolEvent) -> bool:
        """Look at ``event``; False keeps it out of the run's log. Transformers that come later see it all the same."""
        raise NotImplementedError(f"{type(self).__name__} must override process() or aprocess().")

    async def aprocess(self, event: ProtocolEvent) -> bool:
        """``process`` in async runs; the next transformer waits for it."""
        return self.process(event)

    def finalize(self) -> None:  # noqa: B027 - a hook
        """The run has ended well."""

    async def afinalize(self) -> None:
        """``finalize`` in async runs; what was scheduled has ended before."""
        self.finalize()

    def fail(self, err: BaseException) -> None:  # noqa: B027 - a hook
        """The run has ended with ``err``."""

    async def afail(self, err: BaseException) -> None:
        """``fail`` in async runs; what was scheduled was cancelled before."""
        self.fail(err)

    # ------------------------------------------------------------ work beside the run

    def schedule(
        self, coro: Coroutine[Any, Any, Any], *, on_error: Literal["log", "raise"] = "log"
    ) -> asyncio.Task[Any]:
        """Run ``coro`` beside the run, which waits for it before it ends, and cancels it when it fails.

        Args:
            coro: what is to be done.
            on_error: "log" what it raises, or "raise" it: then the run ends with it.

        Raises:
            RuntimeError: there is no event loop: this is a sync run.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            coro.close()
            raise RuntimeError(
                f"{type(self).__name__}.schedule() requires a running event loop: use astream_events. A transformer that "
                "says requires_async = True is refused by sync runs before they begin."
            ) from None
        task = loop.create_task(_logged(coro) if on_error == "log" else coro)
        self.scheduled.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        # What failed is kept: it ends the run.
        if task.cancelled() or task.exception() is None:
            self.scheduled.discard(task)

    @property
    def scheduled(self) -> set[asyncio.Task[Any]]:
        """What was scheduled in this run, and has not ended well."""
        # Subclasses need not call super().__init__().
        found: set[asyncio.Task[Any]] = self.__dict__.setdefault("_scheduled", set())
        return found


async def _logged(coro: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await coro
    except Exception:
        logging.getLogger("distgraph").exception("What a stream transformer scheduled has failed; the run goes on.")


def needs_loop(transformer: StreamTransformer) -> bool:
    """Whether ``transformer`` works in async runs alone."""
    if transformer.requires_async or transformer.supports_sync:
        return transformer.requires_async
    return any(getattr(type(transformer), hook) is not getattr(StreamTransformer, hook) for hook in _ASYNC_HOOKS)


#: What a program gives: called with a namespace, it makes the transformer of the graph there.
Factory = Callable[[tuple[str, ...]], StreamTransformer]
