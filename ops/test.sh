#!/bin/sh
# Every check of the project: style, types, import rules, then the tests floor by floor, the quick ones first.
#
#   sh ops/test.sh              everything; goes on after a failure, fails at the end if anything failed
#   sh ops/test.sh ARGUMENTS    only pytest, with these arguments: sh ops/test.sh tests/unit -k join
#
# Works from any directory. The first call makes a virtual environment in .venv; later calls start at once.
# Where no Redis or Valkey server can be started, tests that need one are skipped; with CI=true they fail.
set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$ROOT/ops/lib.sh"

need dev
cd "$ROOT"

if [ $# -gt 0 ]; then
    exec "$PY" -m pytest "$@"
fi

passed=0
failed=''

# check TITLE COMMAND...: run it under a heading, remember how it ended.
check() {
    title=$1
    shift
    printf '\n=== %s\n' "$title"
    if "$@"; then
        passed=$((passed + 1))
    else
        failed="$failed
  $title"
    fi
}

# Sets among the parameters of tests must come in the same order in both processes of a floor that is run by two.
export PYTHONHASHSEED=0

# floor TITLE DIRECTORY...: pytest over those of the directories that hold tests, by two processes, file by file where
# tests of a file share what they start.
floor() {
    title=$1
    shift
    there=''
    for name in "$@"; do
        done_floors="$done_floors $name "
        [ -d "tests/$name" ] && [ -n "$(find "tests/$name" -name 'test_*.py' | head -n 1)" ] && there="$there tests/$name"
    done
    # shellcheck disable=SC2086  # a list of directory names without spaces
    [ -z "$there" ] || check "$title" "$PY" -m pytest -q $beside $there
}

check "style: ruff check" "$PY" -m ruff check .
check "format: ruff format --check" "$PY" -m ruff format --check .
check "types: mypy --strict" "$PY" -m mypy
check "import rules: lint-imports" "$VENV/bin/lint-imports"

done_floors=''
beside='-n 2'
floor "tests: units and properties, no server" unit property
beside=''  # it has processes of its own
floor "tests: the protocol under simulated crashes" simulation
beside='-n 2'
floor "tests: conformance, one suite for every kind behind a seam" conformance
floor "tests: the same graphs on the peer and here" differential
floor "tests: yesterday's data read today" compat
beside='-n 2 --dist loadfile'
floor "tests: integration, real server and real workers" integration
floor "tests: acceptance, what a user sees" acceptance
beside='-n 2 --dist worksteal'  # hardly any share what they start: whoever has nothing left takes over
floor "tests: chaos, kill storms" chaos
beside='-n 2 --dist loadfile'
# A floor that is not named above runs all the same: no test is left out in silence.
for directory in tests/*/; do
    name=$(basename "$directory")
    case $done_floors in *" $name "*) ;; *) floor "tests: $name" "$name" ;; esac
done

if [ -n "$failed" ]; then
    printf '\n%s steps passed. These failed:%s\n' "$passed" "$failed"
    exit 1
fi
printf '\nAll %s steps passed.\n' "$passed"
