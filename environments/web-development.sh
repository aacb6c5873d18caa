#!/bin/bash
# Web development: Node.js with TypeScript and the usual tools, and Python's web frameworks.
#
#   dunlin env create web-development environments/web-development.sh --wait
#
# Takes node as the base has it, else Debian's. Needs indexes of npm and pip, and a Debian mirror
# where the base has no node.
set -euo pipefail

if ! command -v npm >/dev/null; then
    apt-get update
    apt-get install -y --no-install-recommends nodejs npm
fi
npm install --global typescript ts-node eslint prettier express

pip install flask fastapi uvicorn django jinja2 requests httpx

# Node looks beside the program only, and above it, for what it requires: a link at the root of the
# file system is above everything.
[ -e /node_modules ] || ln -s "$(npm root --global)" /node_modules
