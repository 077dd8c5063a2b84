"""The names that programs type: each is there, and takes what the peer's takes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from inspect import Parameter, isclass, signature
from pkgutil import walk_packages
from typing import Any

import langgraph
import pytest

pytestmark = pytest.mark.differential

NAMES = {
    "cache.base": "BaseCache",
    "cache.memory": "InMemoryCache",
    "callbacks": "GraphResumeEvent GraphInterruptEvent GraphCallbackHandler",
    "channels.any_value": "AnyValue",
    "channels.binop": "BinaryOperatorAggregate",
    "channels.delta": "DeltaChannel",
    "channels.ephemeral_value": "EphemeralValue",
    "channels.last_value": "LastValue",
    "channels.named_barrier_value": "NamedBarrierValue",
    "channels.topic": "Topic",
    "channels.untracked_value": "UntrackedValue",
    "checkpoint.base": "BaseCheckpointSaver CheckpointMetadata Checkpoint ChannelVersions CheckpointTuple",
    "checkpoint.memory": "InMemorySaver MemorySaver",
    "checkpoint.serde.jsonplus": "JsonPlusSerializer",
    "config": "get_config get_store get_stream_writer",
    "constants": "END START TAG_HIDDEN TAG_NOSTREAM",
    "errors": "EmptyChannelError EmptyInputError ErrorCode GraphBubbleUp GraphDrained GraphInterrupt GraphRecursionError "
    "InvalidUpdateError NodeCancelledError NodeError NodeInterrupt NodeTimeoutError ParentCommand TaskNotFound "
    "UnknownInterruptError create_error_message is_invalid_resume",
    "func": "entrypoint task",
    "graph": "StateGraph START END add_messages MessagesState",
    "graph.message": "MessagesState add_messages push_message REMOVE_ALL_MESSAGES",
    "graph.ui": "AnyUIMessage RemoveUIMessage UIMessage delete_ui_message push_ui_message ui_message_reducer",
    "graph.state": "StateGraph CompiledStateGraph",
    "managed": "IsLastStep RemainingSteps",
    "pregel": "NodeBuilder Pregel",
    "runtime": "Runtime RunControl DEFAULT_RUNTIME get_runtime ExecutionInfo ServerInfo",
    "store.base": "BaseStore",
    "store.memory": "InMemoryStore",
    "stream": "StreamTransformer StreamChannel ProtocolEvent",
    "stream.run_stream": "GraphRunStream AsyncGraphRunStream SubgraphRunStream AsyncSubgraphRunStream",
    "stream.stream_channel": "StreamChannel",
    "stream.transformers": "CustomTransformer TasksTransformer CheckpointsTransformer DebugTransformer UpdatesTransformer "
    "LifecycleTransformer SubgraphTransformer ValuesTransformer MessagesTransformer",
    "types": "All CachePolicy Command Durability GraphOutput Interrupt Overwrite PregelTask RetryPolicy Send StateSnapshot "
    "StateUpdate StreamMode StreamPart StreamWriter TimeoutPolicy interrupt",
    "warnings": "LangGraphDeprecationWarning LangGraphDeprecatedSinceV05 LangGraphDeprecatedSinceV10",
}
#: Modules and names of the peer that programs do not need, or that are another package's; ops/docs/differences.md.
ELSEWHERE = {
    "prebuilt": "agents ready made: a package of its own, of LangChain's objects",
    "utils": "kept there for older programs, to be removed",
    "pregel.debug": "the engine's own",
    "pregel.main": "the engine's own: Pregel and NodeBuilder are in `pregel`",
    "pregel.protocol": "what the client of the peer's server looks like",
    "pregel.remote": "the client of the peer's server; here it is `cluster.bind(graph)`",
    "pregel.types": "deprecated: they are in `types`",
    "callbacks.get_async_graph_callback_manager_for_config": "the engine's own",
    "callbacks.get_sync_graph_callback_manager_for_config": "the engine's own",
    "config.BaseStore": "imported there from `store.base`",
    "constants.CONF": "the engine's own",
    "constants.CONFIG_KEY_CHECKPOINTER": "the engine's own",
    "managed.base.ManagedValueMapping": "the engine's own",
    "managed.base.ManagedValueSpec": "the engine's own",
    "runtime.BaseUser": "of the client of the peer's server",
    "stream.run_stream.ProtocolEvent": "imported there from `stream`",
    "stream.run_stream.StreamMux": "the engine's own",
    "stream.run_stream.convert_to_protocol_event": "the engine's own",
    "stream.transformers.GraphDrained": "imported there from `errors`",
    "stream.transformers.GraphInterrupt": "imported there from `errors`",
    "stream.transformers.ProtocolEvent": "imported there from `stream`",
    "stream.transformers.StreamChannel": "imported there from `stream.stream_channel`",
    "types.PregelExecutableTask": "the engine's own",
    "types.ensure_valid_checkpointer": "the engine's own",
}
EVERY = [(module, name) for module, names in NAMES.items() for name in names.split()]

#: Parameters of the peer that mean nothing here, or are the peer's own plumbing; a "kwargs" takes older names.
LEFT_OUT = {
    "BaseCallbackHandler",
    "CompiledStateGraph",  # made by compile()
    "GraphRunStream",  # made by stream_events()
    "AsyncGraphRunStream",
    "JsonPlusSerializer.__unpack_ext_hook__",
    "InMemorySaver.factory",
    "MemorySaver.factory",
    "Pregel.auto_validate",
    "Pregel.stream_eager",
    "Pregel.trigger_to_nodes",
    "Pregel.node_error_handler_map",
    "task.__func_or_none__",
}
METHODS = {
    ("graph", "StateGraph"): "add_node add_edge add_conditional_edges add_sequence compile set_entry_point "
    "set_finish_point set_conditional_entry_point set_node_defaults",
    ("pregel", "Pregel"): "invoke ainvoke stream astream batch abatch get_state aget_state get_state_history "
    "aget_state_history update_state aupdate_state bulk_update_state abulk_update_state with_config copy clear_cache "
    "aclear_cache stream_events astream_events",
    ("pregel", "NodeBuilder"): "subscribe_only subscribe_to read_from do write_to meta add_retry_policies "
    "add_cache_policy set_timeout build",
    (
        "checkpoint.memory",
        "InMemorySaver",
    ): "get get_tuple list put put_writes delete_thread aget aget_tuple alist aput "
    "aput_writes adelete_thread get_next_version",
    ("store.memory", "InMemoryStore"): "get put delete search list_namespaces batch aget aput adelete asearch abatch",
    ("cache.memory", "InMemoryCache"): "get clear aget aclear",
    ("runtime", "Runtime"): "merge override patch_execution_info",
    ("runtime", "RunControl"): "request_drain",
    ("stream", "StreamTransformer"): "init process aprocess finalize afinalize fail afail schedule",
    ("stream", "StreamChannel"): "push close fail tee atee",
    ("stream", "GraphRunStream"): "interleave abort",
    ("stream", "AsyncGraphRunStream"): "output interrupted interrupts abort",
}


def both(module: str, name: str) -> tuple[Any, Any]:
    return getattr(import_module(f"distgraph.{module}"), name), getattr(import_module(f"langgraph.{module}"), name)


def refused(ours: Any, theirs: Any, name: str) -> list[str]:
    """What the peer's callable takes and ours does not."""
    mine, wanted = signature(ours).parameters, signature(theirs).parameters
    takes_any = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in mine.values())
    return [
        f"{name}.{key}"
        for key, parameter in wanted.items()
        if parameter.kind not in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
        and not _takes(mine, key, parameter, takes_any)
        and f"{name}.{key}" not in LEFT_OUT
    ]


def _takes(mine: Mapping[str, Parameter], key: str, wanted: Parameter, takes_any: bool) -> bool:
    found = mine.get(key)
    if found is None:
        return takes_any and wanted.kind is Parameter.KEYWORD_ONLY
    positional = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.POSITIONAL_ONLY)
    if wanted.kind in positional and found.kind not in positional:
        return False
    return wanted.default is Parameter.empty or found.default is not Parameter.empty


def public() -> Iterator[tuple[str, str]]:
    """Every public name of the peer, with its module."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for found in walk_packages(langgraph.__path__, "langgraph."):
            path = found.name.removeprefix("langgraph.")
            if any(part.startswith("_") for part in path.split(".")):
                continue
            module = import_module(found.name)
            named = getattr(module, "__all__", None) or [
                name
                for name, value in vars(module).items()
                if name[0] != "_" and getattr(value, "__module__", "").startswith("langgraph")
            ]
            yield from ((path, name) for name in named)


def test_every_public_name_is_here_or_listed_as_left_out() -> None:
    missing = set()
    for path, name in public():
        left_out = {path, path.split(".")[0], f"{path}.{name}"} & ELSEWHERE.keys()
        if left_out:
            missing |= left_out
        else:
            assert hasattr(import_module(f"distgraph.{path}"), name), f"{path}.{name}"
    assert missing == ELSEWHERE.keys(), "what is left out is no name of the peer"


@pytest.mark.parametrize(("module", "name"), EVERY, ids=[f"{module}.{name}" for module, name in EVERY])
def test_a_name_is_where_programs_import_it_from(module: str, name: str) -> None:
    ours, theirs = both(module, name)
    assert isclass(ours) == isclass(theirs)
    if isinstance(theirs, str):
        assert ours == theirs


@pytest.mark.parametrize(("module", "name"), EVERY, ids=[f"{module}.{name}" for module, name in EVERY])
def test_what_the_peer_takes_is_taken(module: str, name: str) -> None:
    ours, theirs = both(module, name)
    if name in LEFT_OUT or not callable(theirs) or getattr(theirs, "__module__", "") == "typing":
        return
    try:
        signature(theirs), signature(ours)
    except (TypeError, ValueError):
        return
    assert refused(ours, theirs, name) == []


METHOD_CASES = [(where, method) for where, methods in METHODS.items() for method in methods.split()]


@pytest.mark.parametrize(("where", "method"), METHOD_CASES, ids=[f"{w[1]}.{m}" for w, m in METHOD_CASES])
def test_methods_take_what_the_peers_take(where: tuple[str, str], method: str) -> None:
    ours, theirs = both(*where)
    assert refused(getattr(ours, method), getattr(theirs, method), f"{where[1]}.{method}") == []


@pytest.mark.parametrize("name", ["StateSnapshot", "PregelTask", "StateUpdate", "RetryPolicy"])
def test_tuples_have_the_fields_of_the_peer(name: str) -> None:
    ours, theirs = both("types", name)
    assert ours._fields == theirs._fields
