#!/bin/sh
# Sets up .venv with everything that Runback's targets need, without root and without touching anything outside.
# `make` runs this when .venv is missing, half-made, or older than a file in requirements/.
set -eu
cd "$(dirname "$0")/.."

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# A name on the PATH proves little (pyenv puts one there for every version it knows of), so each candidate is run.
find_python() {
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3.14 python3}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
    fail "Runback needs Python 3.11 or newer, and ${PYTHON:-this machine} has none." \
        "Install one (Debian and Ubuntu: sudo apt install python3.13 python3.13-venv)," \
        "or say where it is: make test PYTHON=/path/to/python3.13"
}

# .venv/ready is written last and removed first: a .venv without it was interrupted half-way, and is made anew.
if [ -e .venv ] && [ -e .venv/ready ] && .venv/bin/python -c '' 2>/dev/null; then
    echo "Bringing .venv up to date with requirements/ (about 10 s) …"
    rm .venv/ready
else
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null || {
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        fail "$python cannot make virtual environments: its venv or ensurepip module is missing." \
            "Debian and Ubuntu keep them in a package of their own: sudo apt install python$version-venv"
    }
    echo "Setting up .venv with $("$python" --version) (once, about 30 s) …"
    rm -rf .venv
    "$python" -m venv .venv
fi

# uv does not read pip's settings, but a user behind a mirror has the mirror's address only there.
index=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
if [ -n "$index" ] && [ -z "${UV_DEFAULT_INDEX:-}" ]; then
    export UV_DEFAULT_INDEX="$index"
fi

set -- requirements/bootstrap.txt requirements/development.txt
major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\)\..*/\1/' || true)
if [ "${major:-0}" -lt 22 ]; then
    set -- "$@" requirements/node.txt
fi

.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
.venv/bin/python -m uv pip sync --quiet --require-hashes --compile-bytecode --python .venv/bin/python "$@"
touch .venv/ready
