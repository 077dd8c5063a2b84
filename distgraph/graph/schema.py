"""State schemas -> channels: TypedDict, dataclass, pydantic model, annotated class, or one bare type."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, is_dataclass
from functools import partial
from inspect import Parameter, isclass, signature
from types import BuiltinFunctionType, FunctionType
from typing import Annotated, Any, ClassVar, NotRequired, Required, get_args, get_origin, get_type_hints

from distgraph.channels import BaseChannel, BinaryOperatorAggregate, DeltaChannel, LastValue
from distgraph.constants import ROOT
from distgraph.graph.problems import Problem, UnknownNameError, WrongTypeError, refusal
from distgraph.managed import ManagedValue

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
#: What a built-in function of two values, such as ``operator.add``, says of itself.
_PAIR = re.compile(r"\(\$module, \w+, \w+, /\)")


@dataclass(frozen=True, slots=True)
class Schema:
    """What one schema type says.

    Attributes:
        type: the type itself.
        channels: key -> the rule its updates merge by.
        managed: key -> the computed value it names.
        keys: all of them, as declared.
        mapper: builds an instance out of the keys that have a value; None where a plain dict is the instance.
    """

    type: Any
    channels: Mapping[str, BaseChannel[Any, Any]]
    managed: Mapping[str, type[ManagedValue]]
    keys: tuple[str, ...]
    mapper: Callable[[Any], Any] | None

    @property
    def reads(self) -> tuple[str, ...] | str:
        """Channels of a view: the single value of a schema without keys, else all keys."""
        return ROOT if self.keys == (ROOT,) else self.keys

    @property
    def writable(self) -> tuple[str, ...] | str:
        """As ``reads``, without what the engine computes."""
        return ROOT if self.keys == (ROOT,) else tuple(self.channels)


def read_schema(typ: Any) -> Schema:
    """The channels that ``typ`` declares.

    Raises:
        GraphValidationError: keys that cannot be channels, all of them at once (a TypeError where ``typ`` is no type); an
            annotation names what its module does not have (a NameError).
    """
    try:
        hash(typ)
    except TypeError:
        text = f"A schema must be a type, got an unhashable type: {type(typ).__name__!r} instance {typ!r:.80}."
        raise refusal(Problem("schema-not-a-type", text, "Pass the class itself."), kind=WrongTypeError) from None
    if not hasattr(typ, "__annotations__"):
        return Schema(typ, {ROOT: _channel(ROOT, typ)}, {}, (ROOT,), None)
    return _read_keys(typ)


def _read_keys(typ: Any) -> Schema:
    channels: dict[str, BaseChannel[Any, Any]] = {}
    managed: dict[str, type[ManagedValue]] = {}
    keys: list[str] = []
    problems: list[Problem] = []
    for name, hint in _fields(typ).items():
        manager = _manager(hint)
        if manager is not None:
            managed[name] = manager
        else:
            try:
                channels[name] = _channel(name, hint)
            except _BadReducer as exc:
                problems.append(_bad_reducer(typ, name, exc))
        keys.append(name)
    if problems:
        raise refusal(*problems, what=f"Schema {getattr(typ, '__name__', typ)!s}")
    return Schema(typ, channels, managed, tuple(keys), mapper_of(typ))


def _fields(typ: Any) -> dict[str, Any]:
    """Names and hints of what holds state: no class variables, no private attributes of a model."""
    try:
        hints = get_type_hints(typ, include_extras=True)
    except NameError as exc:
        raise _unknown_name(typ, exc) from exc
    hints.pop("__slots__", None)
    model = is_model(typ)
    return {
        name: hint
        for name, hint in hints.items()
        if not (hint is ClassVar or get_origin(hint) is ClassVar or (model and name not in typ.model_fields))
    }


def _unknown_name(typ: Any, exc: NameError) -> Exception:
    schema = getattr(typ, "__name__", typ)
    keys = [
        key
        for base in reversed(getattr(typ, "__mro__", (typ,)))
        for key, hint in vars(base).get("__annotations__", {}).items()
        if str(exc.name) in str(getattr(hint, "__forward_arg__", hint))
    ]
    where = f"key {keys[0]!r} of schema {schema!r}" if keys else f"schema {schema!r}"
    text = f"The annotation of {where} names {exc.name!r}, and module {typ.__module__!r} has no such name."
    fix = (
        "An annotation that is a text (all are, after `from __future__ import annotations`) is looked up in the module of its "
        f"class: define {exc.name!r} at the top of the module, or import it there, and not for type checkers alone."
    )
    return refusal(Problem("schema-annotation", text, fix), kind=UnknownNameError)


def is_model(typ: Any) -> bool:
    """Whether ``typ`` is a pydantic model class. A program that has one has imported pydantic; we do not."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isclass(typ) and issubclass(typ, pydantic.BaseModel)


def mapper_of(typ: Any) -> Callable[[Any], Any] | None:
    """Builds an instance of a dataclass or model out of a dict; None for other schemas."""
    if isclass(typ) and (is_dataclass(typ) or is_model(typ)):
        return partial(_build, typ)
    return None


def _build(typ: Any, values: Mapping[str, Any]) -> Any:
    return typ(**values)


def _manager(hint: Any) -> type[ManagedValue] | None:
    """The computed value that a hint names as the last of its metadata, however it is wrapped."""
    metadata = getattr(hint, "__metadata__", None)
    if metadata:
        last = get_origin(metadata[-1]) or metadata[-1]
        if isclass(last) and issubclass(last, ManagedValue):
            return last
    if get_origin(hint) in (Required, NotRequired, Annotated):
        return _manager(get_args(hint)[0])
    return None


def bare(hint: Any) -> Any:
    """The type inside ``Required``, ``NotRequired`` and ``Annotated``."""
    while True:
        if isinstance(hint, InitVar):
            hint = hint.type
        elif get_origin(hint) in (Required, NotRequired, Annotated):
            hint = get_args(hint)[0]
        else:
            return hint


def _channel(name: str, hint: Any) -> BaseChannel[Any, Any]:
    if get_origin(hint) in (Required, NotRequired):
        hint = get_args(hint)[0]
    metadata = getattr(hint, "__metadata__", ())
    typ = bare(hint)
    for item in metadata:
        if isinstance(item, DeltaChannel):
            return item.of(typ).named(name)
        if isinstance(item, BaseChannel):
            return item.named(name)
        if isclass(item) and issubclass(item, BaseChannel):
            return item(typ, key=name)
    if metadata and callable(metadata[-1]):
        _check_reducer(metadata[-1])
        return BinaryOperatorAggregate(typ, metadata[-1], key=name)
    return LastValue(typ, key=name)


class _BadReducer(ValueError):
    """A reducer that does not take two values; the text is its signature."""


def _check_reducer(fn: Any) -> None:
    if _takes_two(fn):
        return
    try:
        found = signature(fn)
    except ValueError:
        # Some builtins (max, min) do not tell their signature; calling them with two values is all we need.
        return
    if sum(parameter.kind in _POSITIONAL for parameter in found.parameters.values()) != 2:
        raise _BadReducer(str(found))


def _takes_two(fn: Any) -> bool:
    """Whether ``fn`` is seen at once to take two values; a whole signature is slow to make."""
    if type(fn) is BuiltinFunctionType:
        return _PAIR.fullmatch(getattr(fn, "__text_signature__", None) or "") is not None
    # What is in its dictionary may say otherwise: a decorator's wrapper, a signature set by hand.
    return type(fn) is FunctionType and fn.__code__.co_argcount == 2 and not fn.__dict__


def _bad_reducer(typ: Any, name: str, exc: _BadReducer) -> Problem:
    schema = getattr(typ, "__name__", typ)
    text = f"Invalid reducer signature. Expected (a, b) -> c. Got {exc} at key {name!r} of {schema}."
    return Problem("reducer-signature", text, "A reducer takes the value so far and one update, both positional.")
