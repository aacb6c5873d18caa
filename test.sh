#!/bin/bash
# Every test: unit tests, the replay of fuzzing corpora, the layers, and the end-to-end tests against
# a real server with real isolation (these need root, or sudo). Arguments go to pytest; without any,
# two files of tests run at a time.
# Fails if anything failed; the last line says how many passed and failed.
set -uo pipefail
cd "$(dirname "$0")" || exit 1
results=$PWD/build/results
unset DUNLIN_DIST

tools/deps test && tools/dev build || {
    echo "0 passed, 1 failed"
    exit 1
}
rm -rf "$results" build/meson-logs/testlog.json
mkdir -p "$results"

# step NAME COMMAND [ARG...]: run it and keep its exit status, which tools/count-tests judges.
step() {
    echo "== $1"
    "${@:2}"
    echo "$?" >"$results/$1.status"
}

as_root=(env)
[ "$(id -u)" -eq 0 ] || as_root=(sudo env)
[ $# -gt 0 ] || set -- -n 2 --dist loadfile

step unit meson test -C build --no-rebuild --print-errorlogs
step layers tools/check-layers
step end-to-end "${as_root[@]}" DUNLIN_DIST="$PWD/build/dist" PYTHONDONTWRITEBYTECODE=1 \
    /usr/bin/python3 -m pytest -q -o junit_family=xunit1 \
    --junitxml="$results/end-to-end.xml" "$@"

tools/count-tests build/meson-logs/testlog.json "$results"
