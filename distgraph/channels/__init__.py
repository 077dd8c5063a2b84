"""How concurrent updates to one key merge. Pure: a channel is a rule, its value is passed in and handed back."""

from distgraph.channels.base import BaseChannel
from distgraph.channels.binop import BinaryOperatorAggregate
from distgraph.channels.delta import DeltaChannel
from distgraph.channels.last_value import AnyValue, EphemeralValue, LastValue, LastValueAfterFinish, UntrackedValue
from distgraph.channels.named_barrier_value import NamedBarrierValue, NamedBarrierValueAfterFinish
from distgraph.channels.topic import Topic

__all__ = [
    "AnyValue",
    "BaseChannel",
    "BinaryOperatorAggregate",
    "DeltaChannel",
    "EphemeralValue",
    "LastValue",
    "LastValueAfterFinish",
    "NamedBarrierValue",
    "NamedBarrierValueAfterFinish",
    "Topic",
    "UntrackedValue",
]
