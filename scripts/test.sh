#!/bin/sh
# npm test: installs and builds what is missing, then runs the suites that need no root. Arguments go to vitest.
set -eu
cd "$(dirname "$0")/.."
./osca _setup
exec node_modules/.bin/node node_modules/vitest/vitest.mjs run "$@"
