"""Flower in a container: all that `distgraph flower` sets, but listening to the container's network.

    celery --quiet flower --conf=ops/flower/flowerconfig.py

The compose file runs it, with a password that the operator must choose, and publishes the port on loopback only. On a
machine of your own run `distgraph flower`.
"""

from __future__ import annotations

import os

from distgraph.cli import flower_conf

# Flower runs this file and takes every name that is one of its options.
globals().update({name: value for name, value in vars(flower_conf).items() if not name.startswith("_")})

address = os.environ["DISTGRAPH_FLOWER_ADDRESS"]
