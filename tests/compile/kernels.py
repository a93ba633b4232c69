"""What the sources say of kernels: their names and the threads of their blocks; how CUDA's mangled
names read."""

import pathlib
import re
import subprocess

OBJECTS = "src/device/cuda"  # under a build folder


def sources(folder):
    """All but launch.cuh, which defines what the others call."""
    return [p for p in sorted(pathlib.Path(folder).glob("*.cu*")) if p.name != "launch.cuh"]


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)


def declared(folder):
    """{kernel: name of its file without ending}"""
    found = {}
    for path in sources(folder):
        for name in re.findall(r"__global__\s+void\s[^;{]*?\b(k_\w+)\s*\(", without_comments(path.read_text())):
            found[name] = path.stem
    return found


def constants(folder):
    """The numbers that enums and constants of type int name."""
    known = {}
    for path in sources(folder):
        text = without_comments(path.read_text())
        for name, value in re.findall(r"\bconstexpr int (\w+)\s*=\s*([^;,]+);", text):
            known[name] = value.strip()
        for body in re.findall(r"\benum\s*\w*\s*{([^}]*)}", text):
            for name, value in re.findall(r"(\w+)\s*=\s*([^,]+)", body):
                known[name] = value.strip()
    return known


def number_of(expression, known):
    """The value of an expression of constants, or None."""
    for _ in range(8):
        if re.fullmatch(r"[\d\s+*/()<-]+", expression):
            return int(eval(expression.replace("/", "//")))  # digits and operators alone
        expression = re.sub(r"[A-Za-z_]\w*", lambda word: f"({known.get(word[0], '?')})", expression)
    return None


def arguments(text, start):
    """The arguments of the call whose opening parenthesis is at `start`."""
    parts, depth, begin = [], 0, start + 1
    for i in range(start, len(text)):
        if text[i] in "([{":
            depth += 1
        elif text[i] in ")]}":
            depth -= 1
            if depth == 0:
                return parts + [text[begin:i].strip()]
        elif text[i] == "," and depth == 1:
            parts.append(text[begin:i].strip())
            begin = i + 1
    raise ValueError("a call without an end")


def block_sizes(folder):
    """{kernel: (threads, is_bound)}: what its launches say; where the size is chosen at run time, the
    most that kernels of vane use, BLOCK."""
    known = constants(folder)
    block = number_of("BLOCK", known)
    if not block:
        raise ValueError("kernels/ has no constant BLOCK")
    sizes = {}
    for path in sources(folder):
        text = without_comments(path.read_text())
        for call in re.finditer(r"\bVANE_LAUNCH(?:_MEETING)?\s*\(", text):
            kernel, _, threads = arguments(text, call.end() - 1)[:3]
            name = re.match(r"\(*\s*(k_\w+)", kernel)
            if not name:
                raise ValueError(f"{path.name}: {kernel}: a launch must name its kernel")
            n = number_of(threads, known)
            size = (n, False) if n else (block, True)
            sizes[name[1]] = max(size, sizes.get(name[1], size))
    return sizes


def readable(mangled):
    """{mangled: "k_pool<float, 4, true>"}"""
    mangled = sorted(set(mangled))
    said = subprocess.run(["c++filt"], input="\n".join(mangled), capture_output=True, text=True, check=True).stdout
    names = {}
    for symbol, name in zip(mangled, said.splitlines()):
        name = name.removeprefix("void ")
        depth = 0
        for i, letter in enumerate(name):  # cut the arguments, not those of the template
            depth += {"<": 1, ">": -1}.get(letter, 0)
            if letter == "(" and depth == 0:
                name = name[:i]
                break
        names[symbol] = re.sub(r"\((?:int|bool)\)", "", name).split("::")[-1]
    return names


def family(name):
    return name.split("<")[0]
