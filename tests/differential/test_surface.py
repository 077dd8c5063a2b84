"""The names that programs type: each is there, and takes what the peer's takes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from inspect import Parameter, isclass, signature
from typing import Any

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
    "types": "All CachePolicy Command Durability GraphOutput Interrupt Overwrite PregelTask RetryPolicy Send StateSnapshot "
    "StateUpdate StreamMode StreamPart StreamWriter TimeoutPolicy interrupt",
    "warnings": "LangGraphDeprecationWarning LangGraphDeprecatedSinceV05 LangGraphDeprecatedSinceV10",
}
EVERY = [(module, name) for module, names in NAMES.items() for name in names.split()]

#: Parameters of the peer that mean nothing here, or are the peer's own plumbing; a "kwargs" takes older names.
LEFT_OUT = {
    "BaseCallbackHandler",
    "CompiledStateGraph",  # made by compile()
    "JsonPlusSerializer.__unpack_ext_hook__",
    "InMemorySaver.factory",
    "MemorySaver.factory",
    "Pregel.auto_validate",
    "Pregel.stream_eager",
    "Pregel.trigger_to_nodes",
    "Pregel.node_error_handler_map",
    "Pregel.stream_transformers",
    "task.__func_or_none__",
}
METHODS = {
    ("graph", "StateGraph"): "add_node add_edge add_conditional_edges add_sequence compile set_entry_point "
    "set_finish_point set_conditional_entry_point set_node_defaults",
    ("pregel", "Pregel"): "invoke ainvoke stream astream batch abatch get_state aget_state get_state_history "
    "aget_state_history update_state aupdate_state bulk_update_state abulk_update_state with_config copy clear_cache "
    "aclear_cache",
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


@pytest.mark.parametrize(("module", "name"), EVERY, ids=[f"{module}.{name}" for module, name in EVERY])
def test_a_name_is_where_programs_import_it_from(module: str, name: str) -> None:
    ours, theirs = both(module, name)
    assert isclass(ours) == isclass(theirs) or name == "StreamPart"  # there a union of classes
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
