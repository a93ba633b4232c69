#!/usr/bin/env python3
"""Adam's machine code, for every architecture: the loops over the parameters move 128 bits at a time,
exactly what Adam has to move, and compute nothing in double; what is narrower is the tail, and the
shadow: four numbers of 16 bits. No local memory anywhere.

  check_adam.py BUILD

BUILD is a build folder, build/release. It takes cuobjdump and nvdisasm, of the toolkit or from
.venv/cuda, where scripts/setup --tests puts them; without them it skips, with status 77.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import kernels

# Arrays that a variant reads and writes, one 128-bit access each per turn of a loop (parameters,
# gradients and both moments; with AMSGrad the largest second moment too). By the bits of
# kernels/adam.cu's MODE: where it keeps telemetry there is a second loop, for the steps that are
# watched.
AMSGRAD, TELEMETRY = 1, 2
MOVES = {f"k_adam<{mode}>": (5, 4) if mode & AMSGRAD else (4, 3) for mode in range(4)}
# Each loop twice: for parameters without a shadow, and for those with one, with a store of 64 bits.
N_LOOPS = {f"k_adam<{mode}>": 4 if mode & TELEMETRY else 2 for mode in range(4)}
ARCHITECTURES = [75, 80, 86, 89, 90, 100, 120]
WIDE, NARROW = 16, 8  # bytes

INSTRUCTION = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)\s*([^;]*);")


def path_to_tools():
    """A PATH with cuobjdump and nvdisasm, or None."""
    venv = pathlib.Path(__file__).resolve().parents[2] / ".venv/cuda"
    folders = [os.environ["PATH"], "/usr/local/cuda/bin", *map(str, venv.glob("lib/python3*/site-packages/nvidia/*/bin"))]
    path = ":".join(folders)
    return path if all(shutil.which(tool, path=path) for tool in ("cuobjdump", "nvdisasm")) else None


def disassemble(path, object_file):
    """{(mangled name, architecture): [(address, opcode, operands)]}"""
    said = subprocess.run([shutil.which("cuobjdump", path=path), "-sass", object_file], capture_output=True, text=True,
                          check=True, env={**os.environ, "PATH": path}).stdout
    code, architecture, here = {}, None, None
    for line in said.splitlines():
        if arch := re.match(r"\s*arch = sm_(\d+)", line):
            architecture = int(arch[1])
        elif function := re.match(r"\s*Function : (\w+)", line):
            here = code.setdefault((function[1], architecture), [])
        elif instruction := INSTRUCTION.search(line):
            here.append((int(instruction[1], 16), instruction[2], instruction[3]))
    return code


def target(operands):
    """Where a branch or a call goes to."""
    found = re.findall(r"\b0x([0-9a-f]+)", operands)
    return int(found[-1], 16) if found else None


def loops(code):
    """[first, last] address of each, innermost ones: a branch back closes it."""
    spans = [(target(operands), address) for address, opcode, operands in code
             if opcode.split(".")[0] == "BRA" and target(operands) is not None and target(operands) < address]
    return [a for a in spans if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in spans)]


def called(code, inside):
    """The instructions that a loop calls: from each target on to the return. A call to just behind
    itself is how the loop is left on sm_80 to sm_89."""
    found = []
    for address, opcode, operands in inside:
        if opcode.startswith("CALL") and not 0 < (target(operands) or 0) - address <= 0x20:
            for instruction in code:
                if instruction[0] >= (target(operands) or 0):
                    found.append(instruction)
                    if instruction[1].startswith(("RET", "EXIT")):
                        break
    return found


def is_double(opcode):
    return bool(re.match(r"D(ADD|MUL|FMA|SETP|MNMX|MMA)\b", opcode)) or "64H" in opcode or ".F64" in opcode


def width(opcode):
    """Bytes of a global or local access."""
    bits = re.search(r"\.(?:[SU]?)(8|16|64|128)\b", opcode)
    return int(bits[1]) // 8 if bits else 4


def accesses(code, kind):
    return [width(opcode) for _, opcode, _ in code if opcode.split(".")[0] == kind]


def check_loop(code, span, moves, n_shadows):
    """What is wrong, and what the loop does."""
    first, last = span
    inside = [i for i in code if first <= i[0] <= last]
    loads, stores = accesses(inside, "LDG"), accesses(inside, "STG")
    n_loads, n_stores = moves
    n_turns = len(loads) // n_loads or 1  # the compiler may take several at once
    wrong = []
    for kind, widths, n, n_narrow in (("loads", loads, n_loads, 0), ("stores", stores, n_stores, n_shadows)):
        if set(widths) - {WIDE} - ({NARROW} if n_narrow else set()):
            wrong.append(f"{kind} of {sorted(widths)} bytes in the loop")
        if (widths.count(NARROW), widths.count(WIDE)) != (n_narrow * n_turns, n * n_turns):
            wrong.append(f"{len(widths)} {kind} in the loop, not {(n + n_narrow) * n_turns}")
    moved = (sum(loads) + sum(stores)) / (n_turns * WIDE // 4)
    if moved != (bytes_each := 4 * (n_loads + n_stores) + 2 * n_shadows):
        wrong.append(f"{moved} bytes per parameter, not {bytes_each}")
    if generic := sorted({opcode for _, opcode, _ in inside if opcode.split(".")[0] in ("LD", "ST", "ATOM", "RED")}):
        wrong.append(f"in the loop: {', '.join(generic)}")
    if doubles := sorted({opcode for _, opcode, _ in inside + called(code, inside) if is_double(opcode)}):
        wrong.append(f"double precision in the loop: {', '.join(doubles)}")
    return wrong, (f"{len(loads)} loads and {stores.count(WIDE)} stores of 128 bits, {stores.count(NARROW)} of 64, "
                   f"{moved:.0f} bytes per parameter, {len(inside)} instructions in the loop")


def check(name, code):
    """What is wrong, and what its loops do."""
    if name not in MOVES:
        return ["a variant of which nobody said what it moves"], ""
    wrong, does = [], []
    if local := sorted({opcode for _, opcode, _ in code if opcode.split(".")[0] in ("LDL", "STL")}):
        wrong.append(f"local memory: {', '.join(local)}")

    def within(span, kind):
        return accesses([i for i in code if span[0] <= i[0] <= span[1]], kind)

    spans = [span for span in loops(code) if WIDE in within(span, "LDG")]
    if len(spans) != N_LOOPS[name]:
        return wrong + [f"{len(spans)} loops load 128 bits at a time, not {N_LOOPS[name]}"], ""
    spans.sort(key=lambda span: within(span, "STG").count(NARROW))
    for i, span in enumerate(spans):
        more, text = check_loop(code, span, MOVES[name], n_shadows=2 * i // len(spans))
        wrong += more
        does.append(text)
    if WIDE in accesses([i for i in code if not any(a <= i[0] <= b for a, b in spans)], "STG"):
        wrong.append("128-bit stores outside the loops")
    if accesses([i for i in code if i[0] < min(spans)[0]], "STG"):
        wrong.append("stores before the loops")
    return wrong, "; ".join(does)


def main():
    path = path_to_tools()
    if not path:
        print("SKIPPED: neither the toolkit nor .venv/cuda has cuobjdump and nvdisasm")
        return 77
    code = disassemble(path, str(pathlib.Path(sys.argv[1], kernels.OBJECTS, "adam.o")))
    names = kernels.readable(mangled for mangled, _ in code)
    n_wrong = 0
    for (mangled, architecture), instructions in sorted(code.items(), key=lambda item: (item[0][0], item[0][1])):
        wrong, does = check(names[mangled], instructions)
        n_wrong += len(wrong)
        for line in wrong or [does]:
            print(f"{names[mangled]} on sm_{architecture}: {line}")
    there = {(names[mangled], architecture) for mangled, architecture in code}
    for name in MOVES:
        for architecture in ARCHITECTURES:
            if (name, architecture) not in there:
                print(f"{name} on sm_{architecture}: not there")
                n_wrong += 1
    return 1 if n_wrong else 0


sys.exit(main())
