#!/usr/bin/env python3
"""Plants one fault after the other and expects the named test to fail.

    run.py SOURCE BUILD [NAME...]

SOURCE is the project, BUILD a folder of this script's own: a copy of the sources, configured and built
once, in which each fault of this folder's *.txt is planted, built, tested and taken out again. A fault that no
longer fits the sources, or that its test does not catch, fails the run. The test must pass without it.
"""
import pathlib
import shutil
import subprocess
import sys

COPIED = ["CMakeLists.txt", "cmake", "include", "kernels", "presets", "src", "tests", "docs"]
FIELDS = ["fault", "file", "replace", "with", "test"]


def read_faults(path):
    """Blocks of `field: value` lines; a value goes on in lines that begin with two spaces."""
    faults, field = [], None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("  "):
            faults[-1][field] += "\n" + line[2:]
            continue
        field, _, value = line.partition(":")
        if field not in FIELDS:
            sys.exit(f"{path}:{number}: no field {field}")
        if field == "fault":
            faults.append({})
        faults[-1][field] = value[1:]
    for fault in faults:
        missing = [f for f in FIELDS if f not in fault]
        if missing:
            sys.exit(f"{path}: {fault['fault']} lacks {missing}")
    return faults


def target_of(test):
    """What is to be built for it: tests of compile/ look at the program and its module."""
    folder, _, name = test.partition("/")
    return "vane" if folder == "compile" else name


def build(folder, target):
    done = subprocess.run(["ninja", "-C", folder, target], capture_output=True, text=True)
    return done.returncode == 0, done.stdout[-3000:]


def passes(folder, test, log):
    """Whether CTest's test of this name passes."""
    command = ["ctest", "--test-dir", folder, "--output-on-failure", "--no-tests=error", "-R", f"^{test}$"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return False
    log.write_text(done.stdout)
    return done.returncode == 0


def try_fault(fault, copy, folder, log):
    path = copy / fault["file"]
    sound = path.read_text()
    if sound.count(fault["replace"]) != 1:
        return f"does not fit: {sound.count(fault['replace'])} places in {fault['file']}"
    target = target_of(fault["test"])
    path.write_text(sound.replace(fault["replace"], fault["with"]))
    try:
        built, output = build(folder, target)
        if not built:
            return "does not build:\n" + output
        return f"NOT CAUGHT by {fault['test']}" if passes(folder, fault["test"], log) else None
    finally:
        path.write_text(sound)


def main():
    source, work = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    wanted = sys.argv[3:]
    copy, folder = work / "source", work / "build"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for name in COPIED:
        if (source / name).is_dir():
            shutil.copytree(source / name, copy / name)
        else:
            shutil.copy2(source / name, copy / name)
    if (source / ".venv").exists():
        (copy / ".venv").symlink_to((source / ".venv").resolve())
    subprocess.run(["cmake", "-G", "Ninja", "-S", copy, "-B", folder, "-DCMAKE_BUILD_TYPE=Release"],
                   check=True, stdout=subprocess.DEVNULL)
    faults = [f for path in sorted((source / "tests/planted").glob("*.txt")) for f in read_faults(path)
              if not wanted or f["fault"] in wanted]
    for test in sorted({fault["test"] for fault in faults}):
        built, output = build(folder, target_of(test))
        if not built:
            sys.exit(f"{test} does not build:\n{output}")
        if not passes(folder, test, work / "sound.log"):
            sys.exit(f"{test} fails without any fault; see {work / 'sound.log'}")
    missed = 0
    for fault in faults:
        complaint = try_fault(fault, copy, folder, work / f"{fault['fault']}.log")
        print(f"{fault['fault']:<32} {complaint or 'caught by ' + fault['test']}", flush=True)
        missed += complaint is not None
    print(f"{len(faults) - missed} of {len(faults)} planted faults were caught")
    return 1 if missed or not faults else 0


if __name__ == "__main__":
    sys.exit(main())
