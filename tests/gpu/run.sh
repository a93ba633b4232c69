#!/usr/bin/env bash
# What scripts/test --gpu calls. Usage: run.sh ON|SIMULATED
set -euo pipefail
cd "$(dirname "$0")/../.."
tests=$1
build=build/release

give_up() {
  echo "scripts/test --gpu: $*" >&2
  exit 1
}

# Said before anything is built: NVIDIA's driver, or Windows' for its Linux.
if [ "$tests" = ON ] && ! [ -e /dev/nvidiactl ] && ! [ -e /dev/dxg ]; then
  give_up "this machine has no NVIDIA GPU (there is neither /dev/nvidiactl nor /dev/dxg)"
fi

[ "$tests" = SIMULATED ] || scripts/setup # asks nobody where all packages are there
skipped=$(cmake --preset release -DVANE_GPU_TESTS=OFF | grep "SKIPPED: the CUDA backend" || true)
[ -z "$skipped" ] || give_up "the CUDA backend cannot be built here; ${skipped##*; }"
cmake --preset release "-DVANE_GPU_TESTS=$tests" | { grep SKIPPED || true; }
cmake --build "$build" --target gpu_tests

program=$build/vane
[ "$tests" = ON ] || program=$build/vane-simulated
device=$("$program" doctor --json | python3 -c '
import json, sys
cuda = json.load(sys.stdin)["devices"]["cuda"]
print(cuda["description"])
sys.exit(not cuda["works"])') || give_up "$device"
echo "device: $device"

export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$(nproc)}" OMP_WAIT_POLICY=passive
exec ctest --test-dir "$build" --output-on-failure --label-regex '^gpu$'
