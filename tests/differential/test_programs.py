"""Hand-written programs: what they observe on the peer and here."""

from __future__ import annotations

from inspect import signature
from types import FunctionType, ModuleType
from typing import Any

import pytest

from tests.differential import (
    building,
    functional,
    growing,
    keeping,
    lines,
    moving,
    names,
    nesting,
    projecting,
    running,
    speaking,
    threads,
)
from tests.differential.harness import OURS, PEER, observe

pytestmark = pytest.mark.differential

MODULES = (
    building,
    running,
    threads,
    nesting,
    keeping,
    functional,
    growing,
    names,
    speaking,
    projecting,
    lines,
    moving,
)


def programs(module: ModuleType) -> list[Any]:
    """Public functions of a module whose only parameter is ``api``."""
    return [
        pytest.param(value, id=f"{module.__name__.rpartition('.')[2]}.{name}")
        for name, value in vars(module).items()
        if isinstance(value, FunctionType)
        and value.__module__ == module.__name__
        and list(signature(value).parameters) == ["api"]
    ]


@pytest.mark.parametrize("program", [entry for module in MODULES for entry in programs(module)])
def test_a_program_sees_the_same_on_both(program: Any) -> None:
    assert observe(program, OURS) == observe(program, PEER)
