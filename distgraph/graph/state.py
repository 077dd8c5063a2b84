"""The builder: state schema, nodes, edges, conditional edges; ``compile()`` checks them and makes a graph of them.

A mistake that one call can see is raised by that call. What only the whole graph shows is found by ``compile``, all of
it at once, with the places of the declarations.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Self

from distgraph.channels import BaseChannel
from distgraph.constants import END, START
from distgraph.engine.call import injected_into
from distgraph.graph.build import build_program
from distgraph.graph.compiled import CompiledGraph, CompiledStateGraph
from distgraph.graph.declarations import (
    DEFAULT_NAME,
    HANDLER,
    branch_name,
    check_checkpointer,
    check_node,
    ends_of,
    name_of,
    no_more,
    path_map_of,
    renamed,
    repeated_in_sequence,
    stops_of,
    taken,
    with_defaults,
)
from distgraph.graph.hints import HintReader, command_ends
from distgraph.graph.lint import find_problems
from distgraph.graph.problems import Place, Problem, caller, refusal
from distgraph.graph.schema import Schema
from distgraph.graph.schemas import Schemas
from distgraph.graph.specs import BranchSpec, Edges, NodeDefaults, NodeSpec
from distgraph.graph.variables import Subscripted
from distgraph.managed import ManagedValue
from distgraph.types import All, CachePolicy, Checkpointer, Placement, RetryPolicy, TimeoutPolicy
from distgraph.typing import ContextT, InputT, OutputT, StateT
from distgraph.warnings import DistgraphWarning

__all__ = ["CompiledGraph", "CompiledStateGraph", "StateGraph"]


class StateGraph(Subscripted, Generic[StateT, ContextT, InputT, OutputT]):
    """Nodes that share a state, and the edges between them.

    Args:
        state_schema: TypedDict, dataclass, pydantic model or annotated class with the state's keys; or one type, whose
            value is the whole state. ``Annotated[T, reducer]`` merges updates with ``reducer(value, update)``.
        context_schema: type of what callers pass as ``context=``.
        input_schema: keys that a run's input may set; the state's by default.
        output_schema: keys that a run's result shows; the state's by default.

    Raises:
        GraphValidationError: a schema with keys that cannot be channels (a ValueError).
    """

    def __init__(
        self,
        state_schema: type[StateT] | Any,
        context_schema: type[ContextT] | None = None,
        *,
        input_schema: type[InputT] | None = None,
        output_schema: type[OutputT] | None = None,
        **deprecated: Any,
    ) -> None:
        context_schema = renamed(deprecated, "config_schema", "context_schema", context_schema)
        input_schema = renamed(deprecated, "input", "input_schema", input_schema)
        output_schema = renamed(deprecated, "output", "output_schema", output_schema)
        no_more(deprecated, "StateGraph")
        self.nodes: dict[str, NodeSpec] = {}
        self.branches: dict[str, dict[str, BranchSpec]] = {}
        self.compiled = False
        self.place = caller(__file__)
        self._edges = Edges()
        self._defaults = NodeDefaults()
        self._schemas = Schemas()
        self._hints = HintReader()
        self.state_schema = state_schema
        self.input_schema: Any = input_schema or state_schema
        self.output_schema: Any = output_schema or state_schema
        self.context_schema = context_schema
        self._schemas.add(state_schema)
        self._schemas.add(self.input_schema, managed=False)
        self._schemas.add(self.output_schema, managed=False)

    # ------------------------------------------------------------ what users look at

    @property
    def edges(self) -> set[tuple[str, str]]:
        """The plain edges."""
        return set(self._edges.plain)

    @property
    def waiting_edges(self) -> set[tuple[tuple[str, ...], str]]:
        """The joins: edges from several nodes that wait for all of them."""
        return set(self._edges.joins)

    @property
    def channels(self) -> Mapping[str, BaseChannel[Any, Any]]:
        """The keys of all schemas, each with the rule its updates merge by."""
        return self._schemas.channels

    @property
    def managed(self) -> Mapping[str, type[ManagedValue]]:
        """The computed values of all schemas."""
        return self._schemas.managed

    @property
    def schemas(self) -> Mapping[Any, Mapping[str, Any]]:
        """Schema type -> its channels and computed values by key."""
        return {typ: {**schema.channels, **schema.managed} for typ, schema in self._schemas.by_type.items()}

    def schema(self, typ: Any) -> Schema:
        """What a schema type of this graph says."""
        return self._schemas.by_type[typ]

    # ------------------------------------------------------------ nodes

    def set_node_defaults(
        self,
        *,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
        cache_policy: CachePolicy[Any] | None = None,
        error_handler: Any = None,
        timeout: Any = None,
    ) -> Self:
        """Policies of nodes that do not set their own. Nested graphs do not inherit them.

        Retry and timeout hold for error handlers too; cache and error handler do not.
        """
        defaults = self._defaults
        defaults.retry_policy = retry_policy if retry_policy is not None else defaults.retry_policy
        defaults.cache_policy = cache_policy if cache_policy is not None else defaults.cache_policy
        defaults.error_handler = error_handler if error_handler is not None else defaults.error_handler
        defaults.timeout = TimeoutPolicy.coerce(timeout) if timeout is not None else defaults.timeout
        return self

    def add_node(
        self,
        node: str | Any,
        action: Any = None,
        *,
        defer: bool = False,
        metadata: Mapping[str, Any] | None = None,
        input_schema: Any = None,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
        cache_policy: CachePolicy[Any] | None = None,
        error_handler: Any = None,
        destinations: Mapping[str, str] | Sequence[str] | None = None,
        timeout: Any = None,
        trace_policy: Any = None,
        queue: str | None = None,
        placement: Placement | None = None,
        **deprecated: Any,
    ) -> Self:
        """Add a node under a name; without a name, under the function's own.

        Args:
            node: the name, or the action itself.
            action: function, async function, generator, callable object, runnable or compiled graph. It takes the
                state and returns what it changes.
            defer: run only when nothing else is left to run.
            metadata: shown with the node's tasks and in drawings.
            input_schema: the node's view of the state; else its first parameter's annotation, else the whole state.
            retry_policy: when to try again; of several the first that matches.
            cache_policy: reuse the writes of equal inputs.
            error_handler: takes over when the node has failed for good.
            destinations: where its Commands lead, for checks and drawings: names, or name -> label.
            timeout: of one attempt, in seconds, as timedelta or ``TimeoutPolicy``.
            trace_policy: what tracers of LangChain's record of the node's input and output.
            queue: workers' queue that every task of this node travels to.
            placement: where it runs on a cluster: "auto", "spread" (every task travels) or "local".
            **deprecated: older names of these, with a warning.

        Raises:
            GraphValidationError: a name that is taken, reserved or no name; no action (a ValueError).
        """
        if deprecated:
            retry_policy = renamed(deprecated, "retry", "retry_policy", retry_policy)
            input_schema = renamed(deprecated, "input", "input_schema", input_schema)
            no_more(deprecated, "add_node")
        place = caller(__file__)
        if not isinstance(node, str):
            node, action = name_of(node, place), node
        check_node(node, action, queue, placement, place)
        first, returned = self._hints.read(action)
        if "config" in getattr(action, "__annotations__", ()):
            # Warns here, where the node is, if the annotation is none that gets a config.
            injected_into(action, node)
        own_schema = input_schema if input_schema is not None else first
        schema = own_schema if own_schema is not None else self.state_schema
        handler = None
        if error_handler is not None:
            handler = f"{HANDLER}{node}"
            self._add_spec(handler, NodeSpec(error_handler, None, schema, is_error_handler=True, place=place))
        spec = NodeSpec(
            action,
            metadata,
            schema,
            retry_policy,
            cache_policy,
            handler,
            ends=ends_of(destinations) if destinations is not None else command_ends(returned),
            defer=defer,
            timeout=TimeoutPolicy.coerce(timeout),
            trace_policy=trace_policy,
            queue=queue,
            placement=placement,
            returned=returned,
            place=place,
        )
        self._add_spec(node, spec)
        if own_schema is not None:
            self._schemas.add(own_schema)
        return self

    def _add_spec(self, name: str, spec: NodeSpec) -> None:
        if name in self.nodes:
            raise refusal(taken(name, self.nodes[name], spec.place))
        self._changed("a node", spec.place)
        spec.name = name
        self.nodes[name] = spec

    def add_sequence(self, nodes: Sequence[Any]) -> Self:
        """Add nodes and an edge from each to the next. Each is an action, or a pair of name and action.

        Raises:
            GraphValidationError: no nodes, or a name that is taken (a ValueError).
        """
        place = caller(__file__)
        if len(nodes) < 1:
            raise refusal(Problem("empty-sequence", "Sequence requires at least one node.", place=place))
        previous: str | None = None
        for item in nodes:
            name, action = item if isinstance(item, tuple) and len(item) == 2 else (name_of(item, place), item)
            if name in self.nodes:
                raise refusal(repeated_in_sequence(name, place))
            self.add_node(name, action)
            if previous is not None:
                self.add_edge(previous, name)
            previous = name
        return self

    # ------------------------------------------------------------ edges

    def add_edge(self, start_key: str | Sequence[str], end_key: str, *, optional: bool = False) -> Self:
        """Run ``end_key`` after ``start_key``; after a list of nodes, once all of them have run.

        Nodes of a single edge may be added later; those of a list must be there.

        Args:
            start_key: the node before, or the nodes that are joined.
            end_key: the node after.
            optional: of a list: a run may end while only some of its nodes have run, and ``end_key`` is left out.
                Otherwise such a run fails with ``JoinStalledError``.

        Raises:
            GraphValidationError: an edge out of END or into START, or a list with unknown nodes (a ValueError).
        """
        place = caller(__file__)
        starts = (start_key,) if isinstance(start_key, str) else tuple(start_key)
        if END in starts:
            raise refusal(Problem("edge-from-end", "END cannot be a start node.", place=place))
        if end_key == START:
            raise refusal(Problem("edge-into-start", "START cannot be an end node.", place=place))
        if isinstance(start_key, str):
            known: dict[Any, Place] = self._edges.plain
            edge: Any = (start_key, end_key)
        else:
            self._check_join(starts, end_key, place)
            known, edge = self._edges.joins, (starts, end_key)
            if optional:
                self._edges.optional.add(edge)
        if edge in known:
            self._edges.repeated.append((start_key, end_key, place))
        else:
            self._changed("an edge", place)
            known[edge] = place
        return self

    def _check_join(self, starts: Sequence[str], end: str, place: Place) -> None:
        missing = [name for name in (*starts, *([] if end == END else [end])) if name not in self.nodes]
        problems = [
            Problem("join-unknown-node", f"Need to add_node `{name}` first: a list of nodes joins nodes.", "", place)
            for name in missing
        ]
        if not starts:
            problems.append(Problem("join-empty", f"A join into {end!r} waits for no node.", "", place))
        if problems:
            raise refusal(*problems, what=f"The join into {end!r}")

    def add_conditional_edges(
        self,
        source: str,
        path: Callable[..., Any] | Any,
        path_map: Mapping[Any, str] | Sequence[str] | None = None,
    ) -> Self:
        """After ``source``, run what ``path`` says: a node name, a ``Send``, END, or a list of them.

        Args:
            source: the node before, or START.
            path: takes the state with ``source``'s own changes. ``-> Literal[...]`` declares its results.
            path_map: result -> node name, or the list of node names it may return.

        Raises:
            GraphValidationError: ``source`` has a conditional edge of that name already (a ValueError).
        """
        place = caller(__file__)
        name = branch_name(path)
        branches = self.branches.setdefault(source, {})
        if name in branches:
            text = f"Branch with name `{name}` already exists for node `{source}`, declared at {branches[name].place}."
            raise refusal(Problem("branch-name", text, "Give the functions different names.", place))
        self._changed("an edge", place)
        schema, returned = self._hints.read(path)
        branches[name] = BranchSpec(path, path_map_of(path_map, returned), schema, place)
        if schema is not None:
            self._schemas.add(schema)
        return self

    def set_entry_point(self, key: str) -> Self:
        """The same as ``add_edge(START, key)``."""
        return self.add_edge(START, key)

    def set_finish_point(self, key: str) -> Self:
        """The same as ``add_edge(key, END)``."""
        return self.add_edge(key, END)

    def set_conditional_entry_point(
        self, path: Callable[..., Any] | Any, path_map: Mapping[Any, str] | Sequence[str] | None = None
    ) -> Self:
        """The same as ``add_conditional_edges(START, path, path_map)``."""
        return self.add_conditional_edges(START, path, path_map)

    def _changed(self, what: str, place: Place | None) -> None:
        if self.compiled:
            text = f"changed-after-compile: Added {what} at {place}: graphs that were compiled before do not have it."
            warnings.warn(text, DistgraphWarning, stacklevel=4)

    # ------------------------------------------------------------ compile

    def validate(self, interrupt: Sequence[str] | None = None) -> Self:
        """Check the graph as ``compile`` does, without making one.

        Raises:
            GraphValidationError: all errors found (a ValueError).
        """
        self._judge(find_problems(self, interrupt or ()), "The graph", strict=False)
        return self

    def compile(
        self,
        checkpointer: Checkpointer = None,
        *,
        cache: Any = None,
        store: Any = None,
        interrupt_before: All | Sequence[str] | None = None,
        interrupt_after: All | Sequence[str] | None = None,
        debug: bool = False,
        name: str | None = None,
        transformers: Sequence[Any] | None = None,
        strict: bool = False,
        compatible_with: Sequence[str] | Callable[[str], bool] = (),
        migrate: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> CompiledGraph[StateT, ContextT, InputT, OutputT]:
        """Check the graph and make it runnable. The builder stays as it is and may be compiled again.

        Args:
            checkpointer: saver of the graph's threads. None: a parent graph's, if there is one; False: none at all;
                True: a nested graph's own history in its parent's saver.
            cache: keeps writes of nodes with a cache policy.
            store: long-term memory that nodes reach as ``runtime.store``.
            interrupt_before: nodes to stop before, or "*".
            interrupt_after: nodes to stop after, or "*".
            debug: print updates and values, and detect nodes that change their input in place.
            name: by which workers know the graph.
            transformers: make projections of every run that ``stream_events(version="v3")`` makes.
            strict: refuse what is otherwise a warning.
            compatible_with: other versions of this graph whose runs workers may go on with in this one, once no worker
                of their own lives: fingerprints (or the 12 characters of them that are shown), or a function of one.
            migrate: on workers, the state that another version left -> the state of this one, both as dicts of keys.

        Raises:
            GraphValidationError: everything that is wrong, at once (a ValueError); a TypeError too, where the
                checkpointer is none.
        """
        name = name or DEFAULT_NAME
        check_checkpointer(checkpointer)
        before, after = stops_of(interrupt_before), stops_of(interrupt_after)
        named = [*(() if before == "*" else before), *(() if after == "*" else after)]
        served = name if strict and name != DEFAULT_NAME else ""
        problems = find_problems(self, named, stored=strict or bool(checkpointer), served=served)
        self._judge(problems, f"Graph {name!r}", strict=strict)
        self.compiled = True
        nodes = with_defaults(self.nodes, self._defaults, self.state_schema)
        graph = CompiledGraph(
            builder=self,
            program=build_program(self, nodes, name, before, after, strict=strict),
            specs=nodes,
            checkpointer=checkpointer,
            cache=cache,
            store=store,
            debug=debug,
            name=name,
            transformers=transformers,
        )
        graph.compatible_with, graph.migrate = compatible_with, migrate
        for kept in (checkpointer, cache, store):
            if hasattr(kept, "with_types"):
                # What outlives the process decodes the types it was told of, and no others.
                kept.with_types(graph.types())
        return graph

    def _judge(self, problems: Sequence[Problem], what: str, *, strict: bool) -> None:
        errors = [problem for problem in problems if strict or problem.severity == "error"]
        if errors:
            raise refusal(*errors, what=what)
        for problem in problems:
            warnings.warn(str(problem), DistgraphWarning, stacklevel=3)
