#!/usr/bin/env bash
# Makes records and a short run, and lets other people's readers have them: run.sh VANE SOURCE_FOLDER
set -euo pipefail
vane=$1 source=$2
python=$source/.venv/interop/bin/python
if ! [ -x "$python" ]; then
  echo "the readers are not installed: scripts/setup --tests installs them"
  exit 1
fi
work=$(mktemp -d /tmp/vane-interop-XXXXXX)
trap 'rm -rf "$work"' EXIT

"$vane" data make "$source/presets/scenes.yaml" --split test --count 50 --out "$work/records"
"$vane" train "$source/presets/scenes.yaml" --out "$work/run" --set train.steps=6 \
  --set train.log_every=2 --set train.batch=16 --set train.eval_every=3 --set data.test.count=32
"$python" "$source/tests/interop/interop.py" --vane "$vane" "$work/records" "$work/run"
