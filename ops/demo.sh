#!/bin/sh
# The demo: a batch of stateful graphs on real workers, one of them killed on the way.
#
#   sh ops/demo.sh [options of `distgraph demo`, e.g. --help]
#
# Works from any directory. The first call makes a virtual environment in .venv; later calls start at once.
set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$ROOT/ops/lib.sh"

need run
exec "$PY" -m distgraph demo "$@"
