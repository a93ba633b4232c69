#!/usr/bin/env bash
# The oldest CUDA that vane builds with, 12.4, and the oldest cuDNN, 9.0: compiles src/device/cuda/*.c
# and kernels/*.cu against their headers. Not part of scripts/test by itself: it downloads 1 GB, of
# which it keeps 60 MB in build/cuda12.
#
# PyPI has the headers, libdevice and ptxas of 12.4, but not the front end of nvcc. That part is
# played by clang, 18 or later, which compiles CUDA by itself (Debian 12: apt-get install clang-19). So
# what is shown: the headers have all that vane calls, and ptxas 12.4 takes the kernels for each
# architecture it knows. What is not: that nvcc 12.4 reads the sources as nvcc 13 does.
set -euo pipefail
cd "$(dirname "$0")/../.."

toolkit=build/cuda12/toolkit
if ! [ -e $toolkit/complete ]; then
  echo "downloading the headers of CUDA 12.4 and cuDNN 9.0"
  [ -e .venv/cuda12/complete ] || python3 -m venv .venv/cuda12
  touch .venv/cuda12/complete
  wheels=$(mktemp -d)
  trap 'rm -rf "$wheels"' EXIT
  .venv/cuda12/bin/pip download --quiet --disable-pip-version-check --no-deps --dest "$wheels" \
    'nvidia-cuda-nvcc-cu12==12.4.*' 'nvidia-cuda-runtime-cu12==12.4.*' \
    'nvidia-cuda-cccl-cu12==12.4.*' 'nvidia-curand-cu12==10.3.5.*' \
    'nvidia-cublas-cu12==12.4.*' 'nvidia-cudnn-cu12==9.0.*'
  python3 - "$wheels" $toolkit <<'EOF'
import pathlib, sys, zipfile
for wheel in pathlib.Path(sys.argv[1]).glob("*.whl"):
    with zipfile.ZipFile(wheel) as files:
        for name in files.namelist():
            _, _, rest = name.partition("/")[2].partition("/")  # after nvidia/<package>/
            if rest.startswith(("include/", "nvvm/libdevice/", "bin/ptxas")) and not name.endswith("/"):
                to = pathlib.Path(sys.argv[2], rest)
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(files.read(name))
EOF
  chmod +x $toolkit/bin/ptxas
  touch $toolkit/complete
fi

n_compiled=0 n_failed=0
compile() {
  n_compiled=$((n_compiled + 1))
  "$@" || { n_failed=$((n_failed + 1)) && echo "failed: $*"; }
}
includes=(-I. -Isrc -Iinclude -Ikernels -isystem $toolkit/include)

for source in src/device/cuda/*.c; do
  compile cc -std=c17 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Wconversion -Wno-sign-conversion -Werror \
    "${includes[@]}" -O1 -c "$source" -o /dev/null
done

clang=
for version in 18 19 20 21; do
  command -v clang-$version >/dev/null && clang=clang-$version
done
if [ "$clang" ]; then
  # Clang knows 12.4 well enough, but warns that it does not know all of it.
  cuda=("$clang" -x cuda -std=c++17 -O3 --cuda-path=$toolkit -Wno-unknown-cuda-version -Wall -Wextra -Werror
    "${includes[@]}" -c)
  for source in kernels/*.cu; do
    compile "${cuda[@]}" --cuda-host-only "$source" -o /dev/null
    for architecture in 75 80 86 89 90; do
      compile "${cuda[@]}" --cuda-device-only --cuda-gpu-arch=sm_$architecture -Xcuda-ptxas -Werror \
        "$source" -o build/cuda12/kernel.cubin
    done
  done
else
  echo "SKIPPED: the kernels with CUDA 12.4: clang, 18 or later, is not installed"
fi
echo "CUDA 12.4: $((n_compiled - n_failed)) passed, $n_failed failed"
[ $n_failed = 0 ]
