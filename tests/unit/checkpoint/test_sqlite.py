"""The saver of database files, in programs."""

from __future__ import annotations

import asyncio
import operator
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest

from distgraph.checkpoint.sqlite import SqliteSaver
from distgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from distgraph.errors import CheckpointCorruptError, ConfigError
from distgraph.graph import END, START, StateGraph
from distgraph.types import Command, interrupt


@dataclass
class Order:
    name: str


class State(TypedDict):
    order: Order
    log: Annotated[list[str], operator.add]


def asks(state: State) -> Any:
    return {"log": [interrupt(f"ship {state['order'].name}?")]}


def graph(saver: Any) -> Any:
    builder = StateGraph(State).add_node("first", lambda state: {"log": ["first"]}).add_node("asks", asks)
    return builder.add_edge(START, "first").add_edge("first", "asks").add_edge("asks", END).compile(checkpointer=saver)


THREAD: Any = {"configurable": {"thread_id": "t"}}


def test_a_thread_goes_on_in_another_process(tmp_path: Path) -> None:
    """With a dataclass in its state, whose type only the graph's schema names."""
    path = tmp_path / "x.db"
    with SqliteSaver.from_conn_string(str(path)) as saver:
        result = graph(saver).invoke({"order": Order("tea"), "log": []}, THREAD)
    assert result["__interrupt__"][0].value == "ship tea?"
    root = Path(__file__).resolve().parents[3]
    script = f"""
from distgraph.checkpoint.sqlite import SqliteSaver
from distgraph.types import Command
from tests.unit.checkpoint.test_sqlite import THREAD, graph
with SqliteSaver.from_conn_string({str(path)!r}) as saver:
    assert graph(saver).invoke(Command(resume="yes"), THREAD)["log"] == ["first", "yes"]
"""
    subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(root)}, check=True)
    with SqliteSaver(path) as saver:
        history = [*graph(saver).get_state_history(THREAD)]
    assert [(found.next, found.values.get("log")) for found in history] == [
        *(((), ["first", "yes"]), (("asks",), ["first"]), (("first",), []), (("__start__",), []))
    ]


def test_an_async_program() -> None:
    async def program() -> Any:
        async with AsyncSqliteSaver.from_conn_string(":memory:") as saver:
            await saver.setup()
            await graph(saver).ainvoke({"order": Order("tea"), "log": []}, THREAD)
            await graph(saver).ainvoke(Command(resume="no"), THREAD)
            found = await graph(saver).aget_state(THREAD)
            await saver.adelete_thread("t")
            return found.values["log"], await saver.aget_tuple(THREAD)

    assert asyncio.run(program()) == (["first", "no"], None)


def test_a_value_is_stored_once_per_version(tmp_path: Path) -> None:
    with SqliteSaver(tmp_path / "x.db") as saver:
        graph(saver).invoke({"order": Order("x" * 1000), "log": []}, THREAD)
        with saver._file.reading() as db:
            (stored,) = db.execute("SELECT COUNT(*) FROM dg_fields WHERE name LIKE 'v:order@%'").fetchone()
        assert stored == 1
        assert len([*saver.list(THREAD)]) == 3


def test_a_damaged_value_is_named(tmp_path: Path) -> None:
    with SqliteSaver(tmp_path / "x.db") as saver:
        graph(saver).invoke({"order": Order("x"), "log": []}, THREAD)
        with saver._file.writing() as db:
            db.execute("UPDATE dg_fields SET data = x'00' WHERE name LIKE 'v:order@%'")
        with pytest.raises(CheckpointCorruptError):
            saver.get_tuple(THREAD)


def test_what_is_no_database_is_refused() -> None:
    wrong: Any = 7
    with pytest.raises(ConfigError):
        SqliteSaver(wrong)
