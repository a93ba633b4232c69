#!/usr/bin/env python3
"""The module with the CUDA backend and the program that loads it: the module takes nothing of vane
that the program does not export, and exports nothing but its entry point.

  check_module.py BUILD

BUILD is a build folder, build/release.
"""

import pathlib
import subprocess
import sys


def symbols(path, which):
    said = subprocess.run(["nm", "--dynamic", which, path], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].split("@")[0] for line in said.splitlines()}


build = pathlib.Path(sys.argv[1])
offered = symbols(build / "vane", "--defined-only")
taken = {name for name in symbols(build / "vane_cuda.so", "--undefined-only") if name.startswith("vane_")}
exported = symbols(build / "vane_cuda.so", "--defined-only")
wrong = [f"{name}: taken by the module, not exported by the program" for name in sorted(taken - offered)]
wrong += [f"{name}: exported by the module" for name in sorted(exported - {"vane_cuda_device_open"})]
wrong += ["vane_cuda_device_open: not exported by the module"] if "vane_cuda_device_open" not in exported else []
print("\n".join(wrong) or f"{len(taken)} functions of vane are taken, one is exported")
sys.exit(1 if wrong else 0)
