"""The composition root: `celery -A workers.app worker`, configured by DISTGRAPH_* variables (see settings.py)."""

from __future__ import annotations

from distgraph.cluster.celery.app import make_app
from distgraph.cluster.celery.site import SiteOptions
from workers import celeryconfig
from workers.settings import Settings

settings = Settings.load()
app = make_app(
    SiteOptions(
        url=settings.url,
        broker_url=settings.broker_url,
        namespace=settings.namespace,
        graphs=settings.graphs,
        pool=settings.pool,
        queues=settings.queues,
        secret=settings.secret.get_secret_value().encode() if settings.secret else None,
        async_concurrency=settings.async_concurrency,
        drain_seconds=settings.drain_timeout,
        cancel_seconds=settings.cancel_grace,
        max_memory=settings.max_memory_per_child,
        effects_seconds=settings.keep_effects,
        commit_patience=settings.commit_patience,
        versions=settings.versions,
    ),
    overrides={
        "worker_pool": settings.pool,
        "worker_concurrency": settings.concurrency,
        **celeryconfig.OVERRIDES,
    },
)
