#!/usr/bin/env python3
"""What the compiler made of each kernel, for every architecture: registers, shared memory, how many
threads a multiprocessor holds (occupancy). Fails where registers are spilled, where a kernel needs
local memory that nobody explained, where it was not compiled or is never launched, where a kernel
that memory limits keeps too few threads to hide its latency, and where kernels/README.md lacks it.

  check_kernels.py BUILD              compare with the table in docs/gpu.md
  check_kernels.py BUILD --write      write the table
  check_kernels.py BUILD --all        show every instantiation on every architecture

BUILD is a build folder, build/release.
"""

import argparse
import collections
import difflib
import pathlib
import re
import sys

import kernels

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs/gpu.md"
BEGIN, END = "<!-- kernels: begin -->", "<!-- kernels: end -->"

# What a multiprocessor holds: CUDA C++ Programming Guide, "Technical specifications per compute
# capability"; the limits on blocks and the granularities as in the toolkit's cuda_occupancy.h.
# All have 65536 registers, given to warps of 32 threads in units of 256.
Limits = collections.namedtuple("Limits", "warps blocks shared reserved unit")
KIB = 1024
LIMITS = {
    75: Limits(32, 16, 64 * KIB, 0, 256),
    80: Limits(64, 32, 164 * KIB, 1 * KIB, 128),
    86: Limits(48, 16, 100 * KIB, 1 * KIB, 128),
    89: Limits(48, 24, 100 * KIB, 1 * KIB, 128),
    90: Limits(64, 32, 228 * KIB, 1 * KIB, 128),
    100: Limits(64, 32, 228 * KIB, 1 * KIB, 128),
    120: Limits(48, 24, 100 * KIB, 1 * KIB, 128),
}
REGISTERS, REGISTER_UNIT, PARTITIONS, WARP = 65536, 256, 4, 32

# Kernels that memory limits, and the least share of a multiprocessor's threads that hides its
# latency. Memory is kept busy by bytes under way: bandwidth times latency, on a B200 8 TB/s times
# about 0.8 us over 148 multiprocessors, 43 KiB each, on the others at most 20. Half of 64 warps
# reach that with 43 bytes a thread, three loads of 128 bits; three eighths with the four that the
# sums over columns keep in flight, a third with the Gram matrix's five.
FLOORS = {
    "k_adam": 1 / 2,
    "k_bias_gradient": 3 / 8,
    "k_combine": 1 / 2,
    "k_gram": 1 / 3,
    "k_input": 1 / 2,
    "k_merge": 1 / 2,
    "k_norm_apply": 1 / 2,
    "k_norm_backward": 1 / 2,
    "k_norm_statistics": 3 / 8,
    "k_norm_sums": 3 / 8,
    "k_relu": 1 / 2,
    "k_stream": 1 / 2,
}

# Kernels that may use local memory, and why.
STACK = {
    "k_angle_pair": "sin and cos of large arguments: CUDA's reduction by 2/pi needs an array",
    "k_angle_bins": "sin and cos of large arguments: CUDA's reduction by 2/pi needs an array",
    "k_coefficients": "each thread takes its loss's weight from the descriptor: one warp, once a step",
}

Use = collections.namedtuple("Use", "registers shared stack spilled")


def up(value, unit):
    return -(-value // unit) * unit


def occupancy(architecture, use, threads):
    """Resident warps over the most there can be."""
    limits = LIMITS[architecture]
    warps = up(threads, WARP) // WARP
    registers = up(use.registers * WARP, REGISTER_UNIT)
    by_registers = REGISTERS // PARTITIONS // registers * PARTITIONS // warps
    by_shared = limits.shared // up(use.shared + limits.reserved, limits.unit) if use.shared else limits.blocks
    return min(limits.warps // warps, limits.blocks, by_registers, by_shared) * warps / limits.warps


def read_resources(folder):
    """{(mangled name, architecture): Use}, from what ptxas -v said."""
    used = {}
    for path in sorted(folder.glob("*.o.resources")):
        kernel = of = stack = None
        for line in path.read_text().splitlines():
            if entry := re.search(r"Compiling entry function '(\w+)' for 'sm_(\d+)", line):
                kernel, stack = (entry[1], int(entry[2])), (0, 0)
            elif properties := re.search(r"Function properties for (\w+)", line):
                of = properties[1]
            elif frame := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
                spilled = int(frame[2]) + int(frame[3])
                stack = (stack[0] + int(frame[1]), stack[1] + spilled) if of else stack
            elif registers := re.search(r"Used (\d+) registers", line):
                shared = re.search(r"(\d+)(?:\+\d+)? bytes smem", line)
                used[kernel] = Use(int(registers[1]), int(shared[1]) if shared else 0, *stack)
    return used


def between(low, high, form="{}"):
    low, high = form.format(low), form.format(high)
    return low if low == high else f"{low} to {high}"


def table(rows, toolkit):
    lines = [
        f"Compiled by {toolkit} for " + ", ".join(f"sm_{architecture}" for architecture in sorted(LIMITS)) + "; lowest to "
        "highest over architectures and instantiations (element types, vector widths). Nothing is spilled. "
        "Occupancy: resident warps over the most that a multiprocessor holds, for the block size that the "
        "launcher chooses, or its largest (\u2264). Static shared memory alone is used.",
        "",
        "| kernel | file | variants | threads | registers | shared, bytes | local, bytes | occupancy, % | lowest on |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (file, name), row in sorted(rows.items()):
        low, where = min(row["occupancy"])
        lines.append(
            f"| `{name}` | `{file}.cu` | {len(row['variants'])} | {row['threads']} "
            f"| {between(min(row['registers']), max(row['registers']))} "
            f"| {between(min(row['shared']), max(row['shared']))} | {max(row['stack'])} "
            f"| {between(low, max(row['occupancy'])[0], '{:.0f}')} "
            f"| {'' if low == max(row['occupancy'])[0] else f'sm_{where}'} |"
        )
    return lines


def collect(used, declared, sizes, all_of_them):
    """Rows for the table, and what is wrong."""
    wrong, rows = [], {}
    names = kernels.readable(mangled for mangled, _ in used)
    architectures = sorted({architecture for _, architecture in used})
    if missing := set(LIMITS) - set(architectures):
        wrong.append("not compiled for " + ", ".join(f"sm_{a}" for a in sorted(missing)))
    compiled = {kernels.family(name) for name in names.values()}
    for name in sorted(set(declared) - compiled):
        wrong.append(f"{name}: in the sources, but not compiled: nobody launches it")
    for (mangled, architecture), use in sorted(used.items(), key=lambda item: (names[item[0][0]], item[0][1])):
        name = kernels.family(names[mangled])
        here = f"{names[mangled]} on sm_{architecture}"
        if architecture not in LIMITS:
            wrong.append(f"{here}: nothing is known of this architecture")
            continue
        if name not in declared or name not in sizes:
            wrong.append(f"{here}: compiled, but no launch of it is found in kernels/")
            continue
        threads, is_bound = sizes[name]
        share = occupancy(architecture, use, threads)
        if use.spilled:
            wrong.append(f"{here}: {use.spilled} bytes of registers are spilled")
        if use.stack and name not in STACK:
            wrong.append(f"{here}: {use.stack} bytes of local memory")
        if share < FLOORS.get(name, 0.0):
            wrong.append(f"{here}: occupancy {share:.0%} is below {FLOORS[name]:.1%}: {use.registers} registers, "
                         f"{use.shared} bytes shared")
        if all_of_them:
            print(f"{here:60} {threads:5} threads {use.registers:4} registers {use.shared:6} shared "
                  f"{use.stack:4} local {share:5.0%}")
        row = rows.setdefault((declared[name], name), collections.defaultdict(list))
        row["threads"] = f"\u2264 {threads}" if is_bound else str(threads)
        row["variants"] = sorted({*row["variants"], mangled})
        row["occupancy"].append((100 * share, architecture))
        for key in ("registers", "shared", "stack"):
            row[key].append(getattr(use, key))
    for name in sorted(set(FLOORS) - compiled):
        wrong.append(f"{name}: has a floor here, but no such kernel was compiled")
    for name in sorted(set(STACK) - {k for (_, k), row in rows.items() if max(row["stack"])}):
        wrong.append(f"{name}: is allowed local memory here, and uses none")
    return rows, wrong


def not_in_readme(declared):
    """Kernels and launchers that kernels/README.md has no row for, and rows of what is gone."""
    folder = ROOT / "kernels"
    rows = [line.split("|") for line in (folder / "README.md").read_text().splitlines() if line.startswith("| `k_")]
    launchers = set(re.findall(r"\bvane_launch_(\w+)\(", (folder / "kernels.h").read_text()))
    described = {kernel: cells[3] for cells in rows for kernel in re.findall(r"`(k_\w+)`", cells[1])}
    named = {launcher for cells in rows for launcher in re.findall(r"`(\w+)`", cells[2])}
    wrong = [f"kernels/README.md: nothing of {name}" for name in sorted(set(declared) - set(described))]
    wrong += [f"kernels/README.md: {name} is not there any more" for name in sorted(set(described) - set(declared))]
    wrong += [f"kernels/README.md: {name} is not in {file.strip()}" for name, file in sorted(described.items())
              if name in declared and f"{declared[name]}.cu" not in file]
    wrong += [f"kernels/README.md: nothing of vane_launch_{name}" for name in sorted(launchers - named)]
    wrong += [f"kernels/README.md: vane_launch_{name} is not there any more" for name in sorted(named - launchers)]
    return wrong


def write_or_compare(lines, toolkit, write):
    """What is wrong."""
    text = DOCS.read_text() if DOCS.exists() else ""
    if BEGIN not in text or END not in text:
        return [f"{DOCS.relative_to(ROOT)} lacks the markers {BEGIN} and {END}"]
    head, _, rest = text.partition(BEGIN)
    there, _, tail = rest.partition(END)
    if write:
        DOCS.write_text(head + "\n".join([BEGIN, *lines, END]) + tail)
        return []
    there = there.strip().splitlines()
    if there and toolkit not in there[0]:
        print(f"SKIPPED: the table in {DOCS.relative_to(ROOT)} is of another toolkit than {toolkit}")
        return []
    if there == lines:
        return []
    return [f"{DOCS.relative_to(ROOT)} differs; if it should, run {pathlib.Path(sys.argv[0]).name} BUILD --write:",
            *difflib.unified_diff(there, lines, "docs", "compiled", lineterm="", n=0)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()

    objects = pathlib.Path(options.build, kernels.OBJECTS)
    toolkit = (objects / "toolkit").read_text().strip()
    used = read_resources(objects)
    rows, wrong = collect(used, kernels.declared(ROOT / "kernels"), kernels.block_sizes(ROOT / "kernels"), options.all)
    wrong += not_in_readme(kernels.declared(ROOT / "kernels"))
    wrong += write_or_compare(table(rows, toolkit), toolkit, options.write)
    for line in wrong:
        print(line)
    print(f"{len(rows)} kernels, {len(used)} compiled, {len(wrong)} complaints")
    return 1 if wrong or not rows else 0


sys.exit(main())
