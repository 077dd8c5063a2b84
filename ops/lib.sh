# What ops/demo.sh and ops/test.sh share: a virtual environment of the repository's own, made once, renewed only when
# pyproject.toml changes. Sourced, not run; expects ROOT (the repository) to be set. POSIX sh.

VENV=$ROOT/.venv
PY=$VENV/bin/python

# An outer Python's settings must not leak into ours.
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '%s\n' "$*"; }

fail() {
    printf '\n%s\n' "$*" >&2
    exit 1
}

# Print the newest Python >= 3.11 that really starts (a version manager's shim may be there without its Python).
find_python() {
    for candidate in python3.13 python3.12 python3.11 python3 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# A stamp says: this pyproject.toml, installed for this place. A copied or moved repository gets a new environment,
# because the scripts inside one name their interpreter by absolute path.
stamp() { printf '%s\n%s\n' "$ROOT" "$(cksum <"$ROOT/pyproject.toml")"; }

installed() { [ -f "$VENV/.distgraph-$1" ] && [ "$(cat "$VENV/.distgraph-$1")" = "$(stamp)" ] && "$PY" -c '' 2>/dev/null; }

moved() {
    for old in "$VENV"/.distgraph-*; do
        [ -f "$old" ] && [ "$(head -n 1 "$old")" != "$ROOT" ] && return
    done
    return 1
}

make_venv() {
    if moved; then
        say "The virtual environment was made for another folder: making a new one."
        rm -rf "$VENV"
    elif [ -d "$VENV" ] && ! "$PY" -c '' 2>/dev/null; then
        say "The virtual environment's Python is gone: making a new one."
        rm -rf "$VENV"
    fi
    [ -d "$VENV" ] && return
    if python=$(find_python); then
        say "Making a virtual environment in .venv with $("$python" -V 2>&1)."
    elif command -v uv >/dev/null 2>&1; then
        python=3.12
        say "No Python 3.11 or newer found: uv fetches one for the virtual environment in .venv."
    else
        fail "distgraph needs Python 3.11 or newer, and none was found. Install one (or uv, which brings its own), then run this again."
    fi
    if command -v uv >/dev/null 2>&1; then
        uv venv --quiet --python "$python" "$VENV" || fail "uv could not make the virtual environment (see above)."
    elif ! "$python" -m venv "$VENV"; then
        rm -rf "$VENV"
        fail "$python could not make a virtual environment (see above). On Debian and Ubuntu: apt-get install python3-venv. Or install uv."
    fi
}

# packages WHAT...: install into the environment, with uv where present, else with its own pip.
packages() {
    if command -v uv >/dev/null 2>&1; then
        uv pip install --quiet --python "$PY" "$@"
    else
        # uv makes environments without pip; it may be gone since
        "$PY" -m pip --version >/dev/null 2>&1 || "$PY" -m ensurepip >/dev/null || return
        "$PY" -m pip install -qq "$@"
    fi
}

install_run() { packages --editable "$ROOT[embedded,flower]"; }

install_dev() {
    # Dependency groups need pip 25.1: the one that comes with Python 3.11 to 3.13 is older.
    command -v uv >/dev/null 2>&1 || packages --upgrade 'pip>=25.1' || return
    (cd "$ROOT" && packages --editable "$ROOT[all]" --group dev)
}

# need run|dev: what the demo needs, or that and the developers' tools. Silent and quick when it is all there.
need() {
    installed dev && return
    [ "$1" = run ] && installed run && return
    make_venv
    say "Installing distgraph and what it needs into .venv; the first time this takes a minute or two."
    "install_$1" || fail "The installation did not succeed (see above). Is the network there? Run the same command again to go on."
    stamp >"$VENV/.distgraph-$1"
    say "Installed."
}
