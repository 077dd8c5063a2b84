"""Answers that must have a form: ``interrupt(question, response_schema=...)``."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from distgraph.errors import mark_invalid_resume
from distgraph.types import Interrupt


def shown_schema(schema: Any) -> Any:
    """The schema as whoever answers sees it: JSON schema. A dict is one already."""
    return schema if schema is None or isinstance(schema, dict) else _adapter(schema).json_schema()


def checked(answer: Any, schema: Any, index: int, question: Interrupt | None = None) -> Any:
    """``answer`` as an instance of ``schema``, where that is a type.

    Args:
        answer: what somebody answered.
        schema: as given to ``interrupt``.
        index: which question of its task this is, from 0.
        question: it, as whoever answers sees it.

    Raises:
        pydantic.ValidationError: it does not fit; ``is_invalid_resume`` knows it, and the question still waits.
    """
    if schema is None or isinstance(schema, dict):
        return answer
    try:
        return _adapter(schema).validate_python(answer)
    except Exception as exc:
        mark_invalid_resume(exc, index, question)
        raise


@lru_cache(maxsize=256)
def _adapter(schema: Any) -> Any:
    # Whoever gives a type as schema pays for pydantic; nobody else does.
    from pydantic import TypeAdapter

    return TypeAdapter(schema)
