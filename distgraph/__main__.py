"""``python -m distgraph`` is ``distgraph``."""

from __future__ import annotations

from distgraph.cli import main

if __name__ == "__main__":
    main()
