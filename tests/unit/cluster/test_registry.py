"""Which graphs a worker serves: what it is told to load, by name and version."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distgraph import START, StateGraph
from distgraph.cluster.options import RunOptions
from distgraph.cluster.registry import Registry, Served, is_graph, load
from distgraph.cluster.versions import parts_of
from distgraph.errors import ConfigError, GraphNotFoundError
from tests.unit.cluster.small import Counted, chain

pytestmark = pytest.mark.unit

GRAPH = """
from distgraph import START, StateGraph
def make(name, node="step"):
    return StateGraph(dict).add_node(node, lambda state: state).add_edge(START, node).compile(name=name)
"""


class State(dict[str, Any]):
    pass


def make(name: str | None = None, node: str = "step") -> Any:
    builder = StateGraph(dict).add_node(node, lambda state: state).add_edge(START, node)
    return builder.compile(name=name) if name else builder.compile()


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory whose modules can be imported; they are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(tmp_path)):
            del sys.modules[name]


def write(directory: Path, name: str, text: str) -> str:
    (directory / f"{name}.py").write_text(GRAPH + text)
    return name


class TestAdd:
    def test_a_graph_is_found_by_name_and_version(self) -> None:
        registry, graph = Registry(), make("one")
        served = registry.add(graph)
        assert registry.find("one") is registry.find("one", graph.fingerprint) is registry.get("one") is served
        assert registry.find("one", "another") is None
        assert registry.names() == {"one": graph.fingerprint}
        assert len(registry) == 1

    def test_the_same_graph_again_changes_nothing(self) -> None:
        registry = Registry()
        assert registry.add(make("one")) is registry.add(make("one"))

    def test_two_graphs_of_one_name_are_refused(self) -> None:
        registry = Registry()
        registry.add(make("one"))
        with pytest.raises(ConfigError, match="Two different graphs are named 'one'"):
            registry.add(make("one", node="other"))

    def test_a_graph_without_a_name_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r'needs a name: compile\(name="..."\)'):
            Registry().add(make())

    def test_an_unknown_graph_is_an_error_with_a_guess(self) -> None:
        registry = Registry()
        registry.add(make("census"))
        with pytest.raises(GraphNotFoundError, match=r"No graph named 'cencus' here.*census"):
            registry.get("cencus")

    def test_clients_are_told_what_they_need(self) -> None:
        registry, graph = Registry(), make("one")
        registry.add(graph)
        about = registry.about()[("one", graph.fingerprint)]
        shown = {"streamed": graph.program.streamed, "outputs": graph.program.outputs, "shown": about["shown"]}
        assert json.loads(json.dumps(about["shown"])).keys() == graph.program.nodes.keys()
        assert about == {**shown, **parts_of(graph.program)}


class TestLoad:
    def test_every_named_graph_of_a_module_is_served(self, modules: Path) -> None:
        """Attributes, and members of lists, tuples and dicts; helpers without a name are passed over."""
        name = write(
            modules,
            "shelf",
            "one = make('one')\nmany = [make('two'), 7]\npair = (make('three'),)\nby = {'k': make('four')}\n"
            "helper = StateGraph(dict).add_node('h', print).add_edge(START, 'h').compile()\n",
        )
        assert sorted(load([name], Registry()).names()) == ["four", "one", "three", "two"]

    def test_one_attribute_can_be_named(self, modules: Path) -> None:
        name = write(modules, "shelf_two", "one = make('one')\ntwo = make('two')\n")
        assert list(load([f"{name}:two"], Registry()).names()) == ["two"]

    def test_an_attribute_may_hold_several(self, modules: Path) -> None:
        name = write(modules, "shelf_three", "both = [make('one'), make('two')]\n")
        assert sorted(load([f"{name}:both"], Registry()).names()) == ["one", "two"]

    @pytest.mark.parametrize("reference", ["", "a b", "a:b:c", "../graphs", "graphs.py:", "1graph", "os;import x"])
    def test_what_names_no_module_is_refused(self, reference: str) -> None:
        with pytest.raises(ConfigError, match=r"names no graphs. Give package.module or package.module:attribute"):
            load([reference], Registry())

    def test_a_missing_module(self) -> None:
        with pytest.raises(ConfigError, match=r"No module named 'no_such.graphs' can be imported here"):
            load(["no_such.graphs"], Registry())

    def test_a_module_that_needs_what_is_not_installed(self, modules: Path) -> None:
        name = write(modules, "needy", "import no_such_library\n")
        with pytest.raises(ConfigError, match="needs 'no_such_library', which is not installed"):
            load([name], Registry())

    def test_a_module_that_fails_while_it_is_imported(self, modules: Path) -> None:
        name = write(modules, "broken", "1 / 0\n")
        with pytest.raises(ConfigError, match="failed while it was imported: ZeroDivisionError"):
            load([name], Registry())

    def test_a_missing_attribute_with_a_guess(self, modules: Path) -> None:
        name = write(modules, "shelf_four", "census = make('census')\n")
        with pytest.raises(ConfigError, match=r"Module 'shelf_four' has no 'cencus'.*census"):
            load([f"{name}:cencus"], Registry())

    def test_a_module_without_graphs(self, modules: Path) -> None:
        name = write(modules, "bare", "builder = StateGraph(dict)\n")
        with pytest.raises(ConfigError, match="'bare' holds no compiled graph with a name"):
            load([name], Registry())

    def test_two_modules_with_different_graphs_of_one_name(self, modules: Path) -> None:
        names = [write(modules, "left", "g = make('one', 'a')\n"), write(modules, "right", "g = make('one', 'b')\n")]
        with pytest.raises(ConfigError, match="Two different graphs are named 'one'"):
            load(names, Registry())


def test_only_a_compiled_graph_is_a_graph() -> None:
    assert is_graph(make("one"))
    assert not any(is_graph(other) for other in (StateGraph(dict), None, "one", make))


def test_a_node_reads_what_it_and_its_edges_read() -> None:
    graph = make("one")
    served = Served(graph)
    node = graph.program.nodes["step"]
    assert served.reads(node) is served.reads(node)
    assert set(served.reads(node)) <= set(graph.program.channels)


def test_a_secret_signs_what_is_stored() -> None:
    """A reader with another secret refuses it."""
    signed = Registry(secret=b"s" * 32).plain_codec().encode({"x": 1})
    assert Registry(secret=b"s" * 32).plain_codec().decode(signed) == {"x": 1}
    with pytest.raises(Exception, match=r"(?i)sign"):
        Registry(secret=b"t" * 32).plain_codec().decode(signed)


def test_options_are_read_once_unless_a_node_could_change_them() -> None:
    served = Registry().add(chain(Counted("a")))

    def stored(**more: Any) -> bytes:
        return served.codec.encode(RunOptions(**more).plain())

    assert served.options(stored(keep="latest")) is served.options(stored(keep="latest"))
    assert served.options(stored(keep="latest")) != served.options(stored(keep="all"))
    changeable: list[dict[str, Any]] = [{"context": {}}, {"configurable": {"user": []}}, {"metadata": {"tags": []}}]
    for own in changeable:
        assert served.options(stored(**own)) is not served.options(stored(**own))
