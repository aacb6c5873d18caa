#!/bin/bash
# Data science from Debian's packages: signed, tested together, and kept by the host's own mirror.
#
#   dunlin env create data-science-apt environments/data-science-apt.sh \
#       --warm numpy,pandas --wait
#
# Needs a Debian base (the host's, debian:*, debootstrap:*) and a mirror that can be reached.
set -euo pipefail

apt-get update
apt-get install -y --no-install-recommends \
    python3-numpy python3-pandas python3-scipy python3-matplotlib python3-sklearn \
    python3-statsmodels python3-sympy python3-openpyxl fonts-dejavu-core
