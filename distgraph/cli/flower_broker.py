"""The Celery settings that Flower runs with, as the module that CELERY_CONFIG_MODULE names.

Flower needs no application of ours, only the broker and the names of the namespace's event queues.
"""

from __future__ import annotations

import os

from distgraph.cluster.celery.config import settings

broker_url = os.environ.get("DISTGRAPH_BROKER_URL") or os.environ["DISTGRAPH_URL"]
globals().update(settings(broker_url, os.environ["DISTGRAPH_NAMESPACE"]))
