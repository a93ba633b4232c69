#!/usr/bin/env python3
"""Plants one fault after the other and expects the named test to fail.

    run.py SOURCE BUILD [NAME...]

SOURCE is the project and BUILD a folder where all of it is built. Each fault of this folder's *.txt is
planted in a copy of the sources; what it changes of BUILD is made again, beside, by BUILD's own commands;
then its test runs on that. NAME is a fault or a list (faults: faults.txt). SOURCE and BUILD stay as they are.

A fault that no longer fits the sources, that its test does not catch, or not with the message that the list
names, fails the run. Each test must pass without a fault.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

COPIED = ["CMakeLists.txt", "cmake", "include", "kernels", "presets", "src", "tests", "docs"]
FIELDS = ["fault", "file", "replace", "with", "test", "says"]
OPTIONAL = ["says"]
N_LANES = 2
LIMIT_S = 300  # of a test


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
            faults.append({"list": path.stem})
        faults[-1][field] = value[1:]
    for fault in faults:
        missing = [f for f in FIELDS if f not in fault and f not in OPTIONAL]
        if missing:
            sys.exit(f"{path}: {fault['fault']} lacks {missing}")
    return faults


def ask(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class Build:
    """What CMake made of a build folder: its tests, and which commands lead from which file to which."""

    def __init__(self, source, folder):
        self.source, self.folder = source, folder
        tests = json.loads(ask("ctest", "--test-dir", str(folder), "--show-only=json-v1"))["tests"]
        self.tests = {test["name"]: test for test in tests}
        self.steps = {step["command"]: step for step in json.loads(ask("ninja", "-C", str(folder), "-t", "compdb"))
                      if step["command"]}
        self.read = {}  # output: the files that a compiler read for it
        for line in ask("ninja", "-C", str(folder), "-t", "deps").splitlines():
            if line.startswith(" "):
                self.read[output].add(self.absolute(line.strip()))
            elif line:
                output = line.partition(":")[0]
                self.read[output] = set()
        self.commands = {}
        self.lock = threading.Lock()

    def absolute(self, path):
        return os.path.normpath(self.folder / path)

    def command_of(self, test):
        return self.tests[test]["command"]

    def environment_of(self, test):
        properties = {p["name"]: p["value"] for p in self.tests[test].get("properties", [])}
        return dict(pair.split("=", 1) for pair in properties.get("ENVIRONMENT", []))

    def target_of(self, test):
        """The program that the test is; those of compile/ are scripts that look at vane and its module."""
        program = pathlib.Path(self.command_of(test)[0])
        return str(program.relative_to(self.folder)) if program.is_relative_to(self.folder) else "vane"

    def steps_to(self, test):
        """All that was done to make the test, in an order that works."""
        target = self.target_of(test)
        with self.lock:
            if target not in self.commands:
                said = ask("ninja", "-C", str(self.folder), "-t", "commands", target)
                self.commands[target] = [self.steps[c] for c in said.splitlines() if c in self.steps]
            return self.commands[target]

    def steps_after(self, test, changed):
        """Those of them that depend on a changed file of the sources."""
        changed, outputs, after = os.path.normpath(self.source / changed), set(), []
        for step in self.steps_to(test):
            if (self.absolute(step["file"]) == changed or changed in self.read.get(step["output"], ())
                    or not outputs.isdisjoint(step["command"].split())):
                outputs.add(step["output"])
                after.append(step)
        return after


class Lane:
    """Copies of the sources and of what was built from them, for one fault at a time."""

    def __init__(self, build, work):
        self.build, self.source, self.folder = build, work / "source", work / "build"
        shutil.rmtree(work, ignore_errors=True)
        self.source.mkdir(parents=True)
        for name in COPIED:
            copy = shutil.copytree if (build.source / name).is_dir() else shutil.copy2
            copy(build.source / name, self.source / name)
        if (build.source / ".venv").exists():
            (self.source / ".venv").symlink_to((build.source / ".venv").resolve())
        # The longer path first: one lies in the other.
        both = sorted([(str(build.folder), str(self.folder)), (str(build.source), str(self.source))],
                      key=lambda pair: -len(pair[0]))
        self.places = dict(both)
        self.pattern = re.compile("(?:" + "|".join(re.escape(path) for path, _ in both) + r")(?=[/\s\"';]|$)")
        self.fetched, self.places_fetched, self.changed = set(), set(), set()

    def here(self, text):
        return self.pattern.sub(lambda match: self.places[match[0]], text)

    def fetch(self, output):
        """Copies an output and, once, what else lies in its folder: a step may have written more than one file."""
        place, paths = (self.build.folder / output).parent, [self.build.folder / output]
        if place not in self.places_fetched:
            self.places_fetched.add(place)
            paths += [path for path in place.iterdir() if path.suffix == ".so" or not os.access(path, os.X_OK)]
        paths += place.glob(pathlib.Path(output).name + ".*")
        self.fetched.add(output)
        (self.folder / output).parent.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if path.is_file():
                shutil.copy2(path, (self.folder / output).with_name(path.name))

    def make(self, test, changed):
        """Returns what went wrong, or None."""
        after = self.build.steps_after(test, changed)
        if not after:
            return f"{test} is not made from {changed}"
        for step in self.build.steps_to(test):
            if step["output"] in self.changed or step["output"] not in self.fetched:
                self.fetch(step["output"])
                self.changed.discard(step["output"])
        self.changed |= {step["output"] for step in after}  # also of tests that the next fault does not run
        for step in after:
            command = re.sub(r"-Werror(?!=)( all-warnings)?", "", self.here(step["command"]))
            done = subprocess.run(command, shell=True, cwd=self.folder, capture_output=True, text=True)
            if done.returncode != 0:
                return f"does not build:\n{command}\n{(done.stdout + done.stderr)[-3000:]}"
        return None

    def run(self, test, log):
        return run_test([self.here(word) for word in self.build.command_of(test)],
                        {name: self.here(value) for name, value in self.build.environment_of(test).items()},
                        self.folder, log)

    def try_fault(self, fault, log):
        """Returns why the fault went uncaught, or None."""
        path = self.source / fault["file"]
        sound = path.read_text()
        if sound.count(fault["replace"]) != 1:
            return f"does not fit: {sound.count(fault['replace'])} places in {fault['file']}"
        path.write_text(sound.replace(fault["replace"], fault["with"]))
        try:
            problem = self.make(fault["test"], fault["file"])
            if problem:
                return problem
            status, output = self.run(fault["test"], log)
        finally:
            path.write_text(sound)
        if status is None:
            return f"{fault['test']} did not end within {LIMIT_S} s"
        if status in (0, 77):
            return f"NOT CAUGHT by {fault['test']}"
        if fault.get("says", "") not in output:
            return f"caught by {fault['test']}, but without \"{fault['says']}\"; see {log}"
        return None


def run_test(command, environment, folder, log):
    """(exit status, output); the status is None if it took too long."""
    with open(log, "w+b") as file:
        try:
            status = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, cwd=folder, timeout=LIMIT_S,
                                    env={**os.environ, **environment}).returncode
        except subprocess.TimeoutExpired:
            status = None
        file.seek(0)
        return status, file.read().decode(errors="replace")


def check_sound(build, test, work):
    """(What is wrong with the test, or None; seconds)"""
    log, begin = work / (test.replace("/", "-") + ".log"), time.monotonic()
    status, _ = run_test(build.command_of(test), build.environment_of(test), build.folder, log)
    problem = None if status == 0 else "is skipped" if status == 77 else f"fails without any fault; see {log}"
    return problem, time.monotonic() - begin


def main():
    source, folder = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
    wanted, work = sys.argv[3:], folder / "planted"
    lists = [read_faults(path) for path in sorted((source / "tests/planted").glob("*.txt"))]
    faults = [f for faults in lists for f in faults if not wanted or f["fault"] in wanted or f["list"] in wanted]
    build = Build(source, folder)
    unknown = {fault["test"] for fault in faults} - set(build.tests)
    folders = {test.partition("/")[0] for test in build.tests}
    if not faults or any(test.partition("/")[0] in folders for test in unknown):
        sys.exit(f"no such tests: {sorted(unknown)}" if unknown else "no such faults")
    work.mkdir(exist_ok=True)
    idle = [Lane(build, work / f"lane-{i}") for i in range(N_LANES)]
    unfit, missed = {test: f"{test} is skipped" for test in unknown}, 0

    def try_one(fault):
        if fault["test"] in unfit:
            return fault, unfit[fault["test"]], 0
        begin, lane = time.monotonic(), idle.pop()
        try:
            name = re.sub(r"\W+", "-", fault["fault"])
            return fault, lane.try_fault(fault, work / f"{name}.log"), time.monotonic() - begin
        finally:
            idle.append(lane)

    with concurrent.futures.ThreadPoolExecutor(N_LANES) as pool:
        tests = sorted({fault["test"] for fault in faults} - unknown)
        sound_s = dict.fromkeys(unknown, 0)
        for test, (problem, seconds) in zip(tests, pool.map(lambda test: check_sound(build, test, work), tests)):
            sound_s[test] = seconds
            if problem:
                unfit[test] = f"{test} {problem}"
        for test in sorted(test for test, problem in unfit.items() if problem.endswith("is skipped")):
            print(f"SKIPPED: the faults of {test}, which does not run here")
            faults = [fault for fault in faults if fault["test"] != test]
        faults.sort(key=lambda fault: -sound_s[fault["test"]])  # so that no lane has a long one left at the end
        for fault, complaint, seconds in pool.map(try_one, faults):
            print(f"{fault['fault']:<68} {complaint or 'caught by ' + fault['test']} ({seconds:.0f} s)", flush=True)
            missed += complaint is not None
    print(f"{len(faults) - missed} of {len(faults)} planted faults were caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
