"""Warning classes, so that users can filter them."""

from __future__ import annotations


class DistgraphWarning(UserWarning):
    """A graph or call that works, but probably not as meant. The text starts with the lint's code."""


class DistgraphDeprecationWarning(DeprecationWarning):
    """A name or argument that will go."""


class LangGraphDeprecatedSinceV05(DistgraphDeprecationWarning):
    """Kept under the peer's name, so that a program's warning filters keep working."""


class LangGraphDeprecatedSinceV10(DistgraphDeprecationWarning):
    """Kept under the peer's name, so that a program's warning filters keep working."""
