"""``stream_events(version="v3")``: a run as an object whose projections are read (``distgraph.stream``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distgraph.config import RunnableConfig, ensure_config
from distgraph.constants import PIECES
from distgraph.engine.place import namespace_of
from distgraph.graph.calls import prepare, without_older_names
from distgraph.stream.mux import StreamMux
from distgraph.stream.run_stream import AsyncGraphRunStream, GraphRunStream
from distgraph.stream.transformer import StreamTransformer
from distgraph.stream.transformers import BUILTIN

if TYPE_CHECKING:
    from distgraph.graph.face import GraphFace

_OWN = ("stream_mode", "subgraphs")


@dataclass(frozen=True, slots=True)
class Reading:
    """One call of ``stream_events`` or ``astream_events``; see ``GraphFace.stream_events``.

    The run is one of the graph's own ``stream`` or ``astream``, so that a graph that has another of these is heard as it
    tells.

    Raises:
        TypeError: ``options`` hold what such a run decides by itself.
    """

    graph: GraphFace[Any, Any, Any, Any]
    input: Any
    config: RunnableConfig | None
    transformers: Sequence[Any] | None
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        given = [name for name in _OWN if name in self.options]
        if given:
            raise TypeError(
                f"stream_events and astream_events with version='v3' do not accept {', '.join(given)}: a run streams the "
                "modes that its transformers read, of nested graphs too. Give transformers=[...], or use stream(...)."
            )

    def open(self) -> GraphRunStream:
        """A run that goes on as it is read."""
        mux, options = self._begun(is_async=False)
        return GraphRunStream(iter(self.graph.stream(self.input, self._config(), **options)), mux)

    async def aopen(self) -> AsyncGraphRunStream:
        """``open`` under an event loop."""
        mux, options = self._begun(is_async=True)
        return AsyncGraphRunStream(aiter(self.graph.astream(self.input, self._config(), **options)), mux)

    def _begun(self, *, is_async: bool) -> tuple[StreamMux, dict[str, Any]]:
        """What hears the run, and the keyword arguments of its stream."""
        graph = self.graph
        factories = [*BUILTIN, *_checked(graph.stream_transformers), *_checked(self.transformers or ())]
        merged = ensure_config(graph.config, self.config)
        scope = () if graph.on_cluster else namespace_of(merged, graph.checkpointer)
        mux = StreamMux(factories, is_async=is_async, scope=scope)
        modes: Any = sorted({mode for each in mux.transformers for mode in each.required_stream_modes})
        stops = dict.fromkeys(("control", "interrupt_before", "interrupt_after"))
        options: Any = {**stops, **without_older_names(self.options), "subgraphs": True}
        given: Any = {name: value for name, value in options.items() if name != "context"}
        # A stream says what is wrong when it is read: here it is to be said at once.
        prepare(graph, self.input, self.config, options.get("context"), modes, "v2", given, None)
        return mux, {**options, "stream_mode": modes, "version": "v2"}

    def _config(self) -> RunnableConfig:
        config: RunnableConfig = {**self.config} if self.config else {}
        config["configurable"] = {**(config.get("configurable") or {}), PIECES: True}
        return config


def _checked(transformers: Iterable[Any]) -> Iterator[Callable[[tuple[str, ...]], StreamTransformer]]:
    for each in transformers:
        if isinstance(each, StreamTransformer) or not callable(each):
            what = (
                f"the pre-built instance {type(each).__name__}(...)"
                if callable(getattr(each, "init", None))
                else repr(each)
            )
            raise TypeError(
                f"Transformers must be scope-aware callables, got {what}: give the class, or "
                "lambda scope: MyTransformer(scope, ...). Every run, and every graph nested in it, gets one of its own."
            )
        yield each
