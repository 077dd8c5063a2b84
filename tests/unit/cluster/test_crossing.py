"""What cannot travel is refused when a run or batch is submitted, all of it at once."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from distgraph import START, StateGraph
from distgraph.errors import CodecError, ConfigError
from distgraph.runtime import Runtime
from distgraph.store.memory import InMemoryStore
from tests.unit.cluster.small import Counted, State, chain, cluster_of

pytestmark = pytest.mark.unit


@dataclass
class Context:
    language: str


def speaks(state: State, runtime: Runtime[Context]) -> Any:
    return {"trail": [runtime.context.language]}


def speaking() -> Any:
    return (
        StateGraph(State, context_schema=Context)
        .add_node("speaks", speaks)
        .add_edge(START, "speaks")
        .compile(name="speaking")
    )


CONFIGS: dict[str, tuple[Any, str]] = {
    "a lambda in configurable": (
        {"configurable": {"rate": lambda: 1}},
        r"\$.configurable.rate: type builtins.function",
    ),
    "a store": ({"configurable": {"store": InMemoryStore()}}, r"\$.configurable.store: type .*InMemoryStore"),
    "a lock in metadata": ({"metadata": {"lock": threading.Lock()}}, r"\$.metadata.lock: type _thread.lock"),
    "callbacks": ({"callbacks": [object()]}, "callbacks are objects of this process"),
}


@pytest.mark.parametrize("case", CONFIGS)
@pytest.mark.parametrize("way", ["submit", "submit_batch", "invoke"])
def test_a_config_that_cannot_travel(case: str, way: str) -> None:
    config, text = CONFIGS[case]
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    bound: Any = cluster.bind(graph)
    with pytest.raises(CodecError, match="Nothing was submitted, for this cannot travel to workers: .*" + text):
        if way == "submit_batch":
            bound.submit_batch([{"x": 1}], config=config)
        else:
            getattr(bound, way)({"x": 1}, config)
    assert not cluster.broker.hints()
    assert not cluster.memory.state.records


def test_an_open_file_in_the_input_or_the_context(tmp_path: Path) -> None:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    with (tmp_path / "file").open("w") as file:
        with pytest.raises(CodecError, match=r"\$.input.x: type _io.TextIOWrapper"):
            cluster.submit(graph, {"x": file})
        with pytest.raises(CodecError, match=r"\$.context.file: type _io.TextIOWrapper"):
            cluster.submit(graph, {"x": 1}, context={"file": file})


def test_all_that_cannot_travel_is_named_at_once() -> None:
    graph = chain(Counted("a"))
    config = {"configurable": {"f": len, "fine": 1}, "metadata": {"g": len}, "callbacks": [print]}
    with pytest.raises(CodecError) as caught:
        cluster_of(graph).submit(graph, {"x": len}, config)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines[1:4]] == [
        "  1. Cannot store $.input.x",
        "  2. Cannot store $.configurable.f",
        "  3. Cannot store $.metadata.g",
    ]
    assert lines[4].startswith("  4. callbacks")
    assert "fine" not in str(caught.value)


def test_an_input_that_is_no_dict_is_named_as_a_whole() -> None:
    graph = chain(Counted("a"))
    with pytest.raises(CodecError, match=r"Cannot store \$.input"):
        cluster_of(graph).submit(graph, len)


@pytest.mark.parametrize("known", ["by its code", "by its name"])
def test_a_context_given_as_a_dict_is_an_instance_for_nodes(known: str) -> None:
    graph = speaking()
    cluster = cluster_of(graph)
    bound = cluster.bind(graph if known == "by its code" else graph.name)
    run = bound.submit({"x": 1}, context={"language": "de"})
    batch = bound.submit_batch([{"x": 1}], context={"language": "fr"})
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["de"]
    assert [row.value["trail"] for row in batch.results()] == [["fr"]]


def test_a_misspelt_field_of_the_context_is_refused_at_submit() -> None:
    graph = speaking()
    cluster = cluster_of(graph)
    for submit in (cluster.bind(graph).submit, cluster.bind(graph).submit_batch):
        with pytest.raises(ConfigError, match="no field 'langage'. Did you mean 'language'"):
            submit([{"x": 1}], context={"langage": "de"})


def test_where_the_client_knows_no_code_workers_refuse_the_context() -> None:
    graph = speaking()
    cluster = cluster_of(graph)
    bound = cluster.bind(graph.name)
    run = bound.submit({"x": 1}, context={"langage": "de"})
    batch = bound.submit_batch([{"x": 1}, {"x": 2}], context={"language": "de", "x": 1})
    cluster.run_until_idle()
    with pytest.raises(ConfigError, match="no field 'langage'. Did you mean 'language'"):
        run.result(0)
    assert ["no field 'x'" in row.error["message"] for row in batch.failures() if row.error] == [True, True]


def test_a_misspelt_key_of_the_config_is_refused_at_submit() -> None:
    graph = chain(Counted("a"))
    with pytest.raises(ConfigError, match="Did you mean 'recursion_limit'"):
        cluster_of(graph).submit(graph, {"x": 1}, {"recursion_limt": 5})
