#!/bin/bash
# Python with what most small programs ask for: HTTP, HTML, YAML, dates, tables for the terminal.
#
#   dunlin env create basic-python environments/basic-python.sh --wait
#
# Needs a package index of pip. Any base image with Python 3.8 or later will do.
set -euo pipefail

pip install \
    requests httpx \
    beautifulsoup4 lxml \
    pyyaml tomli-w python-dateutil \
    jinja2 tabulate rich
