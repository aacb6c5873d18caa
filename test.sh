#!/bin/bash
# Every test: unit tests, the replay of fuzzing corpora, the layers, and the end-to-end tests against
# a real server with real isolation (these need root, or sudo). Arguments go to pytest, which then
# runs once; without any, two files run at a time, and then
# what has to be alone.
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

as_root=(env)
[ "$(id -u)" -eq 0 ] || as_root=(sudo env)

# end_to_end NAME [PYTEST ARG...]
end_to_end() {
    echo "== end to end: $1"
    "${as_root[@]}" DUNLIN_DIST="$PWD/build/dist" PYTHONDONTWRITEBYTECODE=1 \
        /usr/bin/python3 -m pytest -q -o junit_family=xunit1 \
        --junitxml="$results/pytest-$1.xml" "${@:2}" || failed=1
}

if [ $# -gt 0 ]; then
    end_to_end chosen "$@"
else
    end_to_end together -n 2 --dist loadfile -m "not alone"
    end_to_end alone -m alone
fi

tools/count-tests build/meson-logs/testlog.json "$results" || failed=1
exit "$failed"
