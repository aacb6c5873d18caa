#!/bin/bash
# Build what is out of date and serve. Arguments go to `dunlin serve` (see --help). Needs root, or
# sudo: the process that builds sandboxes is root, the one that talks HTTP is not.
set -euo pipefail
root=$(cd "$(dirname "$0")" && pwd)

"$root/tools/deps" run
[ -x "$root/build/dist/bin/dunlin" ] || echo "Building Dunlin, which takes about a minute the first time." >&2
"$root/tools/dev" build

if [ "$(id -u)" -ne 0 ]; then
    exec sudo -E "$root/build/dist/bin/dunlin" serve "$@"
fi
exec "$root/build/dist/bin/dunlin" serve "$@"
