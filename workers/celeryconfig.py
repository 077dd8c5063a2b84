"""An operator's own Celery settings. Defaults and their reasons are in distgraph/cluster/celery/config.py."""

from __future__ import annotations

from typing import Any

#: For example {"worker_max_tasks_per_child": 1000}.
OVERRIDES: dict[str, Any] = {}
