#!/bin/sh
# npm run bench -- NAME [--json]: measures beside Docker Swarm on the same hosts, as root; sim-scale needs no root and 5 GB.
set -eu
cd "$(dirname "$0")/.."
./osca _setup
exec node_modules/.bin/node --disable-warning=ExperimentalWarning --max-old-space-size=12288 --expose-gc bench/run.ts "$@"
