#!/bin/bash
# Every test: unit tests, the replay of fuzzing corpora, the layers, and the end-to-end tests against
# a real server with real isolation (these need root, or sudo). Arguments go to pytest.
# Fails if anything failed; the last line says how many passed and failed.
set -uo pipefail
cd "$(dirname "$0")" || exit 1
failed=0
results=$PWD/build/results
unset DUNLIN_DIST

tools/deps test && tools/dev build || {
    echo "0 passed, 1 failed"
    exit 1
}
rm -rf "$results"
mkdir -p "$results"

echo "== unit"
meson test -C build --no-rebuild --print-errorlogs || failed=1

echo "== layers and sizes"
tools/check-layers || { failed=1 && touch "$results/layers-failed"; }

if [ -n "$(find tests -name 'test_*.py' -o -name '*_test.py' | head -n 1)" ]; then
    echo "== end to end"
    as_root=(env)
    [ "$(id -u)" -eq 0 ] || as_root=(sudo env)
    "${as_root[@]}" DUNLIN_DIST="$PWD/build/dist" PYTHONDONTWRITEBYTECODE=1 \
        /usr/bin/python3 -m pytest tests -q -p no:cacheprovider -o junit_family=xunit1 \
        --junitxml="$results/pytest.xml" "$@" || failed=1
fi

tools/count-tests build/meson-logs/testlog.json "$results" || failed=1
exit "$failed"
