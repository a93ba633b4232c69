#!/usr/bin/env bash
# Short trainings under one of compute-sanitizer's tools. Usage: sanitize.sh SANITIZER TOOL VANE CONFIG;
# SANITIZER may be empty or missing: the test is skipped.
set -euo pipefail
sanitizer=$1 tool=$2 vane=$3 config=$4
if ! [ -x "$sanitizer" ]; then
  echo "SKIPPED: compute-sanitizer is not installed (it is part of the CUDA toolkit), so nobody ran $tool"
  exit 77
fi
work=$(mktemp -d /tmp/vane-sanitize-XXXXXX)
trap 'rm -rf "$work"' EXIT

# All kernels for memcheck; the others follow vane's own alone (k_...): they are slow, and what cuDNN and
# cuBLASLt do inside, such as reading padding that nobody wrote, is not ours. cask_plugin, of cuDNN, has a
# k_ too. A tool that breaks down itself (seen: racecheck in bf16 on an H200, CUDA 13.0) is no finding.
options=(--tool "$tool" --error-exitcode 9 --print-limit 20)
[ "$tool" = memcheck ] || options+=(--kernel-name kns=k_ --kernel-name-exclude kns=cask)

# Recorded steps and enqueued ones, both spaces, norm, every weighting, micro-batches, bf16.
runs=(
  "device.graphs=true grad.space=trunk_output model.norm=none grad.clip.per_loss=0.1"
  "device.graphs=false grad.space=parameters model.norm=batch grad.weighting=pcgrad train.accumulate=2"
  "device.graphs=true device.precision=bf16 model.norm=batch grad.weighting=uncertainty optim.amsgrad=true"
)
for i in "${!runs[@]}"; do
  settings=()
  for setting in ${runs[$i]}; do settings+=(--set "$setting"); done
  echo "== $tool: ${runs[$i]}"
  "$sanitizer" "${options[@]}" "$vane" train "$config" --device cuda --out "$work/$i" --set train.steps=4 \
    --set train.batch=8 --set train.eval_every=4 --set train.log_every=2 --set data.train.count=32 \
    --set data.test.count=8 "${settings[@]}" >"$work/log" 2>&1 || {
    status=$?
    cat "$work/log"
    grep -q 'device.precision: bf16 needs' "$work/log" && continue # an old GPU
    grep -q 'Internal Sanitizer Error' "$work/log" && { echo "SKIPPED: $tool broke down in this run"; continue; }
    exit $status
  }
  grep SUMMARY "$work/log" || true
done
