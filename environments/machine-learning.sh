#!/bin/bash
# Machine learning on the CPU: scikit-learn, gradient boosting, ONNX for models made elsewhere, and
# PyTorch if you want it.
#
#   dunlin env create machine-learning environments/machine-learning.sh --wait \
#       --wait-timeout 30
#
# Needs some 3 GB on the disk and a few minutes; raise the limits of builds where that is too much.
# PyTorch's default build for Linux brings CUDA, of no use here; its CPU builds are in an index of
# their own: write its address, or that of a mirror of yours, between the quotes to have PyTorch.
set -euo pipefail
torch_index=""

python3 -m venv /opt/venv
pip install numpy pandas scipy scikit-learn xgboost lightgbm onnxruntime joblib

if [ -n "$torch_index" ]; then
    pip install --index-url "$torch_index" torch torchvision
else
    echo "No address of PyTorch's index is set: going on without"
fi
