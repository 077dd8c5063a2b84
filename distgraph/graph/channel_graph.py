"""Graphs of channels and nodes, given as such: what a StateGraph is compiled to, open to be written by hand."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from distgraph.channels import BaseChannel, Topic
from distgraph.config import RunnableConfig
from distgraph.constants import END, RESERVED, START, TASKS
from distgraph.graph.calls import Modes
from distgraph.graph.declarations import (
    DEFAULT_NAME,
    NO_SYNC_TIMEOUT,
    check_checkpointer,
    no_more,
    policies_of,
    renamed,
    stops_of,
)
from distgraph.graph.face import GraphFace
from distgraph.graph.node_builder import NodeBuilder
from distgraph.graph.problems import Problem, refusal
from distgraph.managed import ManagedValue
from distgraph.suggestions import did_you_mean
from distgraph.superstep.identity import digest_of
from distgraph.superstep.model import Node, Program, make_program
from distgraph.types import All, CachePolicy, Checkpointer, RetryPolicy
from distgraph.typing import ContextT, InputT, OutputT, StateT
from distgraph.warnings import LangGraphDeprecatedSinceV10

if TYPE_CHECKING:
    from distgraph.graph.picture import Drawing


class Pregel(GraphFace[StateT, ContextT, InputT, OutputT]):
    """A graph of channels and nodes.

    Args:
        nodes: name -> node, or builder of the node.
        channels: name -> how its updates merge, or a computed value.
        input_channels: channel that takes the input, or channels that take its keys.
        output_channels: channel(s) of the result.
        stream_channels: channel(s) of ``stream_mode="values"``; all by default.
        stream_transformers: make projections of every run that ``stream_events(version="v3")`` makes.
        live: nodes call tasks, whose chunks are to come while the nodes run.
        **deprecated: older names of these, with a warning.

    Raises:
        GraphValidationError: names that do not fit together, all of them at once (a ValueError).
    """

    def __init__(
        self,
        *,
        nodes: Mapping[str, NodeBuilder | Node],
        channels: Mapping[str, BaseChannel[Any, Any] | type[ManagedValue]] | None,
        input_channels: str | Sequence[str],
        output_channels: str | Sequence[str],
        stream_channels: str | Sequence[str] | None = None,
        stream_mode: Modes = "values",
        stream_transformers: Sequence[Any] | None = None,
        interrupt_before_nodes: All | Sequence[str] = (),
        interrupt_after_nodes: All | Sequence[str] = (),
        step_timeout: float | None = None,
        debug: bool = False,
        checkpointer: Checkpointer = None,
        store: Any = None,
        cache: Any = None,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] = (),
        cache_policy: CachePolicy[Any] | None = None,
        context_schema: Any = None,
        config: RunnableConfig | None = None,
        name: str = DEFAULT_NAME,
        live: bool = False,
        **deprecated: Any,
    ) -> None:
        context_schema = renamed(deprecated, "config_type", "context_schema", context_schema)
        no_more(deprecated, "Pregel")
        check_checkpointer(checkpointer)
        retry = policies_of(retry_policy)
        given = dict(channels or {})
        rules = {key: rule for key, rule in given.items() if isinstance(rule, BaseChannel)}
        rules.setdefault(TASKS, Topic(key=TASKS))
        made = {
            key: node.build(key, retry, cache_policy) if isinstance(node, NodeBuilder) else replace(node, name=key)
            for key, node in nodes.items()
        }
        self.program = make_program(
            name,
            made,
            rules,
            inputs=_keys(input_channels),
            outputs=_keys(output_channels),
            streamed=_keys(stream_channels) if stream_channels else tuple(key for key in rules if key != TASKS),
            managed={key: rule for key, rule in given.items() if not isinstance(rule, BaseChannel)},
            interrupt_before=stops_of(interrupt_before_nodes),
            interrupt_after=stops_of(interrupt_after_nodes),
            fingerprint=_fingerprint(made, rules),
            live=live,
        )
        problems = list(_problems(self.program))
        if problems:
            raise refusal(*problems, what=f"Graph {name!r}")
        self.name = name
        self.stream_mode = stream_mode
        self.stream_transformers = tuple(stream_transformers or ())
        self.step_timeout = step_timeout
        self.debug = debug
        self.checkpointer = checkpointer
        self.store = store
        self.cache = cache
        self.context_schema = context_schema
        self.config = config

    # ------------------------------------------------------------ what it looks like

    def get_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> Drawing:
        """The graph to look at: ``get_graph().draw_mermaid()``."""
        from distgraph.graph.drawing import draw_channels

        return draw_channels(self)

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """A notebook shows the graph."""
        return self.get_graph()._repr_mimebundle_(**options)

    async def aget_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> Drawing:
        """``get_graph`` for async programs."""
        return self.get_graph(config, xray=xray)

    # ------------------------------------------------------------ what it takes and gives

    def get_input_schema(self, config: RunnableConfig | None = None) -> Any:
        """A pydantic model of what ``invoke`` takes."""
        return self._model(self.program.inputs, "Input", "UpdateType")

    def get_output_schema(self, config: RunnableConfig | None = None) -> Any:
        """A pydantic model of what ``invoke`` returns."""
        return self._model(self.program.outputs, "Output", "ValueType")

    @property
    def input_schema(self) -> Any:
        """A pydantic model of what ``invoke`` takes."""
        return self.get_input_schema()

    @property
    def output_schema(self) -> Any:
        """A pydantic model of what ``invoke`` returns."""
        return self.get_output_schema()

    def get_input_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """JSON schema of what ``invoke`` takes."""
        found: dict[str, Any] = self.get_input_schema(config).model_json_schema()
        return found

    def get_output_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """JSON schema of what ``invoke`` returns."""
        found: dict[str, Any] = self.get_output_schema(config).model_json_schema()
        return found

    def get_context_jsonschema(self) -> dict[str, Any] | None:
        """JSON schema of ``context=``; None where the graph declares none."""
        from distgraph.graph.json_schema import context_schema

        return context_schema(self.context_schema)

    def config_schema(self, *, include: Sequence[str] | None = None) -> Any:
        """The older way to ask for the context schema."""
        _use_context("`config_schema` is deprecated. Use `get_context_jsonschema` for the relevant schema instead.")
        return self.context_schema

    def get_config_jsonschema(self, *, include: Sequence[str] | None = None) -> dict[str, Any] | None:
        """The older way to ask for the JSON schema of the context."""
        _use_context("`get_config_jsonschema` is deprecated. Use `get_context_jsonschema` instead.")
        return self.get_context_jsonschema()

    def _model(self, names: str | tuple[str, ...], suffix: str, kind: str) -> Any:
        from distgraph.graph.json_schema import channels_schema

        return channels_schema(names, self.program.channels, self.get_name(suffix), kind)


def _use_context(text: str) -> None:
    warnings.warn(text, LangGraphDeprecatedSinceV10, stacklevel=3)


def _keys(names: str | Sequence[str]) -> str | tuple[str, ...]:
    return names if isinstance(names, str) else tuple(names)


# ------------------------------------------------------------ checks


def _fingerprint(nodes: Mapping[str, Node], rules: Mapping[str, BaseChannel[Any, Any]]) -> str:
    parts = [f"{name}<{sorted(node.triggers)}>{sorted(_listed(node.reads))}" for name, node in sorted(nodes.items())]
    return digest_of("\n".join([*parts, *(f"{key}:{rule.spec()}" for key, rule in sorted(rules.items()))]))


def _problems(program: Program) -> Iterator[Problem]:
    """What the names of channels and nodes get wrong."""
    known = {*program.channels, *program.managed}
    for key in known - {TASKS}:
        if key in RESERVED - {START, END}:
            yield Problem("state-key", f"Channel name '{key}' is reserved.", "Choose another name.")
    if type(program.channels[TASKS]) is not Topic:
        yield Problem("state-key", f"Channel '{TASKS}' is reserved and cannot be used in the graph.")
    for name, node in program.nodes.items():
        if name in RESERVED - {START}:
            yield Problem("node-name", f"Node name '{name}' is reserved.", "Choose another name.")
        for channel in (node.reads,) if isinstance(node.reads, str) else node.reads:
            if channel not in known:
                yield _unknown(f"Node {name} reads channel '{channel}' not in known channels", channel, known)
        if node.timeout is not None and not getattr(node.action, "is_async", False):
            yield Problem("sync-timeout", NO_SYNC_TIMEOUT.format(name=name), "Make it async.")
        for channel in node.triggers:
            if channel not in program.channels:
                yield _unknown(f"Subscribed channel '{channel}' not in known channels", channel, known)
    yield from _end_problems(program, known)
    for stops in (program.interrupt_before, program.interrupt_after):
        for name in () if stops == "*" else stops:
            if name not in program.nodes:
                text = f"Node {name} not in nodes.{did_you_mean(name, program.nodes)}"
                yield Problem("unknown-node", text)


def _end_problems(program: Program, known: set[str]) -> Iterator[Problem]:
    inputs = _listed(program.inputs)
    for channel in inputs:
        if channel not in program.channels:
            yield _unknown(f"Input channel '{channel}' not in known channels", channel, known)
    if all(channel not in program.woken_by for channel in inputs):
        text = f"Input channel {', '.join(inputs)} is not subscribed to by any node."
        yield Problem("no-entry", text, "Subscribe a node to it.")
    for channel in {*_listed(program.outputs), *_listed(program.streamed)}:
        if channel not in program.channels:
            yield _unknown(f"Output channel '{channel}' not in known channels", channel, known)


def _listed(keys: str | tuple[str, ...]) -> tuple[str, ...]:
    return (keys,) if isinstance(keys, str) else keys


def _unknown(text: str, channel: str, known: set[str]) -> Problem:
    return Problem("unknown-channel", f"{text}.{did_you_mean(channel, known)}")
