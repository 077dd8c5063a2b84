"""A call of a run method -> the engine's request and the shape of the answer; and what comes back of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from distgraph.config import RunnableConfig, ensure_config
from distgraph.constants import PIECES
from distgraph.engine.request import Request
from distgraph.errors import ConfigError
from distgraph.graph.chunks import Chunk, Shape, check_durability, modes_of, split_interrupts, with_interrupts
from distgraph.graph.contexts import shape_context
from distgraph.graph.declarations import stops_of
from distgraph.runtime import RunControl
from distgraph.suggestions import did_you_mean
from distgraph.superstep.model import Program
from distgraph.types import All, Durability, GraphOutput, MultitaskStrategy, StreamMode
from distgraph.warnings import LangGraphDeprecatedSinceV10

if TYPE_CHECKING:
    from distgraph.graph.face import GraphFace

Version = Literal["v1", "v2"]
Modes = StreamMode | Sequence[StreamMode]
Stops = All | Sequence[str] | None
#: Values of the output keys, and the questions that wait.
Outcome = tuple[Any, Sequence[Any]]


class RunOptions(TypedDict, total=False):
    """Keyword arguments that every way of running takes; ``GraphFace.stream`` explains them."""

    output_keys: str | Sequence[str] | None
    interrupt_before: Stops
    interrupt_after: Stops
    durability: Durability | None
    control: RunControl | None
    subgraphs: bool
    print_mode: Modes
    debug: bool | None
    checkpoint_during: bool | None
    multitask_strategy: MultitaskStrategy | None


def prepare(
    graph: GraphFace[Any, Any, Any, Any],
    input: Any,
    config: RunnableConfig | None,
    context: Any,
    stream_mode: Modes,
    version: Version,
    options: RunOptions,
    outputs: tuple[str, ...] | str | None,
) -> tuple[Request, Shape]:
    """What the engine is to do, and how its chunks are handed out.

    Args:
        graph: what is run.
        input: the caller's.
        config: the caller's.
        context: the caller's.
        stream_mode: modes that the caller reads.
        version: "v2" hands out parts.
        options: the caller's further keywords.
        outputs: keys to show unless the caller names some; None: the graph's streamed ones.

    Raises:
        ConfigError: an argument that cannot be meant.
        TypeError: a keyword that nobody takes.
    """
    if version not in ("v1", "v2"):
        raise ConfigError(f"Unknown stream version {version!r}: use 'v1' or 'v2'.")
    given = without_older_names(options)
    debug = bool(given.pop("debug", None)) or graph.debug
    print_mode = given.pop("print_mode", ())
    shape = Shape(
        modes=modes_of(stream_mode),
        printed=modes_of(("updates", "values") if debug else print_mode),
        tagged=not isinstance(stream_mode, str),
        subgraphs=bool(given.pop("subgraphs", False)),
        parts=version == "v2",
        output=graph.output_instance,
        state=graph.state_instance,
    )
    pieces, config = _asked_for_pieces(config)
    request = Request(
        program=graph.program,
        input=input,
        config=ensure_config(graph.config, config) if graph.config else config,
        context=shape_context(graph.context_schema, context, graph.name),
        modes=shape.modes | shape.printed,
        pieces=pieces,
        output_keys=_checked_keys(graph.program, given.pop("output_keys", None)) or outputs,
        interrupt_before=stops_of(given.pop("interrupt_before", None)) or None,
        interrupt_after=stops_of(given.pop("interrupt_after", None)) or None,
        durability=check_durability(given.pop("durability", None)),
        control=given.pop("control", None),
        subgraphs=shape.subgraphs,
        debug=debug,
        saver=graph.checkpointer,
        store=graph.store,
        cache=graph.cache,
        name=graph.name,
        told_as=graph.told_as,
        step_timeout=graph.step_timeout,
        multitask_strategy=given.pop("multitask_strategy", None),
    )
    if request.multitask_strategy is not None and not graph.on_cluster:
        raise ConfigError(
            "multitask_strategy is for runs on a cluster, which know of each other: cluster.bind(graph).invoke(...)."
        )
    if given:
        raise TypeError(f"Graph {graph.name!r} got an unexpected keyword argument {next(iter(given))!r}")
    return request, shape


def in_a_node(config: Mapping[str, Any] | None) -> bool:
    """Whether ``config`` is that of a node, so that the graph is run as a part of another."""
    return isinstance(config, Mapping) and bool((config.get("configurable") or {}).get("checkpoint_ns"))


def _checked_keys(program: Program, keys: str | Sequence[str] | None) -> tuple[str, ...] | str | None:
    if keys is None:
        return None
    for key in (keys,) if isinstance(keys, str) else keys:
        if key not in program.channels and key not in program.managed:
            known = [name for name in program.channels if ":" not in name]
            raise ConfigError(f"Key {key} not in channels.{did_you_mean(key, known)}")
    return keys if isinstance(keys, str) else tuple(keys)


def _asked_for_pieces(config: RunnableConfig | None) -> tuple[bool, RunnableConfig | None]:
    """Whether ``config`` asks for the pieces of messages, and what it is without that."""
    configurable = config.get("configurable") if isinstance(config, Mapping) else None
    if config is None or not isinstance(configurable, Mapping) or PIECES not in configurable:
        return False, config
    without: RunnableConfig = {**config, "configurable": {k: v for k, v in configurable.items() if k != PIECES}}
    return True, without


def without_older_names(options: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments by the names that they have now.

    Raises:
        ConfigError: an older name beside the newer one.
    """
    found = dict(options)
    early = found.pop("checkpoint_during", None)
    if early is not None:
        text = "`checkpoint_during` is deprecated and will be removed. Please use `durability` instead."
        warnings.warn(text, LangGraphDeprecatedSinceV10, stacklevel=4)
        if found.get("durability") is not None:
            raise ConfigError("Cannot use both `checkpoint_during` and `durability` parameters: give durability alone.")
        found["durability"] = "async" if early else "exit"
    return found


def result(outcome: Outcome, shape: Shape) -> Any:
    """What ``invoke`` returns of a run's final values."""
    values, interrupts = outcome
    if not shape.parts:
        return with_interrupts(values, interrupts)
    if shape.output is not None and isinstance(values, dict):
        values = shape.output(values)
    return GraphOutput(values, tuple(interrupts))


def last_values(chunks: Iterable[Chunk], shape: Shape) -> Outcome:
    """The final values of a run whose chunks are printed on the way."""
    values: Any = None
    interrupts: list[Any] = []
    for chunk in chunks:
        list(shape(chunk))
        ns, mode, payload = chunk
        if not ns and mode == "values":
            values, asked = split_interrupts(payload)
            interrupts.extend(asked)
    return values, interrupts
