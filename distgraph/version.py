"""The version of the installed package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("distgraph")
except PackageNotFoundError:  # run from its sources
    __version__ = ""
