#!/bin/sh
# npm run bench -- NAME [--json]: measures beside Docker Swarm on the same hosts, as root.
set -eu
cd "$(dirname "$0")/.."
./osca _setup
exec node_modules/.bin/node --disable-warning=ExperimentalWarning bench/run.ts "$@"
