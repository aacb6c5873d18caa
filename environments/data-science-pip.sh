#!/bin/bash
# Data science with the versions of pip's index: newer than Debian's, in a virtual environment.
#
#   dunlin env create data-science environments/data-science-pip.sh \
#       --warm numpy,pandas,matplotlib.pyplot --wait
#
# The host's base has numpy and pandas of its own when the host has; the virtual environment in
# /opt/venv comes first on PATH, keeps the two apart, and is found by runs without further ado.
set -euo pipefail

python3 -m venv /opt/venv
pip install numpy pandas scipy matplotlib seaborn scikit-learn statsmodels sympy openpyxl pyarrow
