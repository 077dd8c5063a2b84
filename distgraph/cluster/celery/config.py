"""Every Celery setting distgraph depends on, with its reason. ``workers/celeryconfig.py`` holds an operator's overrides."""

from __future__ import annotations

from typing import Any

from kombu import Exchange, Queue

from distgraph.cluster.hints import queue_name
from distgraph.ledger.url import parse_broker_url


def settings(url: str, namespace: str) -> dict[str, Any]:
    """The application's configuration.

    Raises:
        ConfigError: the address is not understood, or of another kind of broker.
    """
    name, server = queue_name(namespace), parse_broker_url(url)
    return {
        # Kombu reads addresses in a way of its own, and verifies no certificate unless it is told to.
        "broker_url": server.kombu,
        "broker_use_ssl": server.tls or False,
        # Results live in the ledger. A backend would cost a quarter of the throughput and keep every result twice.
        "result_backend": None,
        "task_ignore_result": True,
        # Messages hold ids only, in JSON; nothing else is even looked at.
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        # A message stays unacknowledged while it is worked on, so that an orderly stop puts it back ...
        "task_acks_late": True,
        # ... but only the ledger repeats work: the broker's own redelivery would loop on a task that kills its process.
        "task_reject_on_worker_lost": False,
        "task_acks_on_failure": True,
        "task_acks_on_timeout": True,
        # What is popped runs: fair between workers, and a kill loses one hint, not a heap of them.
        "worker_prefetch_multiplier": 1,
        "broker_transport_options": {
            # Kombu's bookkeeping of unacknowledged messages costs half the throughput and restores nothing the sweep
            # does not; without it there are no ghosts an hour later either.
            "ack_emulation": False,
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
            # The worker's consumer waits for a server that is away; whatever else meets that fails at once, not after 6 s.
            "max_retries": 0,
            # One list a queue instead of four: priorities are separate queues here.
            "priority_steps": [0],
        },
        "broker_connection_retry_on_startup": True,
        # A stopped server is waited for without end: the ledger keeps what is due.
        "broker_connection_max_retries": None,
        # It comes back soon, and an answer that is an error - a full disk, say - does not end it. It passes, as an outage does.
        "worker_consumer": "distgraph.cluster.celery.consumer:PatientConsumer",
        "broker_channel_error_retry": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # On a machine that is busy a new process may take longer than Celery's 4 s to come up: killed then, and its successor
        # as well, none would ever.
        "worker_proc_alive_timeout": 30.0,
        # One queue for the namespace; those of nodes with a queue of their own are added by the worker's options.
        "task_default_queue": name,
        "task_queues": [Queue(name, Exchange(""), routing_key=name)],
        "task_create_missing_queues": True,
        # Remote control and events of one namespace do not reach another on the same server.
        "control_exchange": f"dg.{namespace}.control",
        "event_exchange": f"dg.{namespace}.events",
        "event_queue_prefix": f"dg.{namespace}.events",
        "worker_enable_remote_control": True,
        # Events cost a third of the throughput of small nodes. Flower asks every worker for them as long as it runs.
        "worker_send_task_events": False,
        # It would name the Celery task, not the graph and node, and costs a publish each.
        "task_send_sent_event": False,
        "task_track_started": False,
        # Rate limits are per worker and hold up unrelated messages.
        "worker_disable_rate_limits": True,
        # distgraph sets up logging in its own words when it starts a worker; under `celery worker` Celery's stands.
        "worker_hijack_root_logger": True,
        "worker_log_format": "%(asctime)s %(levelname)s %(processName)s: %(message)s",
        "worker_task_log_format": "%(asctime)s %(levelname)s %(processName)s: %(message)s",
        "timezone": "UTC",
        "enable_utc": True,
    }
