#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of this tree that can be seen by reading it.

    check_tree.py [--root DIR] RULE...

Rules: includes (rooms.txt: includes point downward only, plugins/ sees the public headers
only, no plugin code is mapped by the core), licence, hosts (no script or build file names a
host of the internet), links (what a page points to exists).  Prints PATH:LINE: TEXT for each
fault and exits 1 if there was one.  check_tree_test.py plants each fault and sees it found.
"""

import argparse
import os
import re
import subprocess
import sys

CODE = (".cc", ".h", ".c", ".hpp", ".cpp")
LICENCE = "SPDX-License-Identifier: Apache-2.0"
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
# What smi.h may use of the outside: a plugin in plain C has no more (design rule of the ABI).
SMI_SYSTEM_HEADERS = {"stddef.h", "stdint.h", "stdbool.h"}
MAPS_CODE = re.compile(r"\bdlm?open\s*\(")
URL = re.compile(r"\b(?:https?|ftp|git|ssh)://(\[[^\]]*\]|[^/\s\"'<>)`:]+)")
LOOPBACK = re.compile(r"^(?:127\.\d+\.\d+\.\d+|localhost|\[::1\]|\$.*|[A-Z]+)$")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


class Tree:
    """The files of a checkout: those git tracks or would track, or all where git is not."""

    def __init__(self, root):
        self.root = root
        if os.path.exists(os.path.join(root, ".git")):
            out = subprocess.run(
                ["git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"],
                check=True, capture_output=True).stdout.decode()
            names = [name for name in out.split("\0") if name]
        else:
            names = []
            for folder, folders, files in os.walk(root):
                folders[:] = [f for f in folders if f not in ("build", ".cache", "__pycache__")]
                names += [os.path.relpath(os.path.join(folder, f), root) for f in files]
        self.files = sorted(n for n in set(names) if os.path.isfile(os.path.join(root, n)))
        self.known = set(self.files)

    def lines(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()

    def code(self, *folders):
        return [n for n in self.files if n.startswith(folders) and n.endswith(CODE)]


class Room:
    def __init__(self, name, level, side):
        self.name, self.level, self.side = name, level, side

    def may_include(self, other):
        return self.name == other.name or (
            other.level < self.level and other.side in ("common", self.side))


def read_rooms(tree):
    rooms = {}
    for line in tree.lines("scripts/lib/rooms.txt"):
        fields = line.split("#")[0].split()
        if fields:
            rooms[fields[0]] = Room(fields[0], int(fields[1]), fields[2])
    return rooms


def room_of(rooms, path):
    """The room of a path relative to src/: the longest one that heads it."""
    parts = path.split("/")[:-1]
    while parts:
        if "/".join(parts) in rooms:
            return rooms["/".join(parts)]
        parts.pop()
    return None


def without_comments(lines):
    """Lines with comments and strings blanked, one for one."""
    text = re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"',
                  lambda m: re.sub(r"[^\n]", " ", m.group()), "\n".join(lines), flags=re.S)
    return text.split("\n")


def check_room_includes(tree, rooms, name):
    room = room_of(rooms, name[len("src/"):])
    if room is None:
        yield name, 1, "lies in no room of scripts/lib/rooms.txt; add the room with its level"
        return
    for number, line in enumerate(tree.lines(name), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quoted, target = match.group(1) == '"', match.group(2)
        other = room_of(rooms, target)
        if other is not None and (quoted or "src/" + target in tree.known):
            if not room.may_include(other):
                yield name, number, (
                    f'includes "{target}": room {room.name} (level {room.level}, {room.side}) '
                    f"must not include room {other.name} (level {other.level}, {other.side})")
            elif "src/" + target not in tree.known:
                yield name, number, f'includes "{target}", which is not in src/'
        elif quoted and not target.startswith("mlos/") and not target.endswith(".pb.h"):
            yield name, number, (
                f'includes "{target}": write it from src/ on, as room/file.h (or in <> if it is '
                "not ours)")


def check_plugin_includes(tree, rooms, name):
    for number, line in enumerate(tree.lines(name), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        target = match.group(2)
        local = os.path.normpath(os.path.join(os.path.dirname(name), target))
        package = "/".join(name.split("/")[:2]) + "/"
        if local in tree.known:
            if not local.startswith(package):
                yield name, number, f'includes "{target}" of another plugin'
        elif target.startswith("mlos/") and target != "mlos/smi.h":
            yield name, number, f'includes "{target}": a plugin sees mlos/smi.h only'
        elif room_of(rooms, target) is not None and "src/" + target in tree.known:
            yield name, number, f'includes "{target}": a plugin sees mlos/smi.h only'


def check_public_includes(tree, name):
    for number, line in enumerate(tree.lines(name), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        target = match.group(2)
        if name == "include/mlos/smi.h" and target not in SMI_SYSTEM_HEADERS:
            yield name, number, f"smi.h includes {target}; it may use {sorted(SMI_SYSTEM_HEADERS)}"
        elif "src/" + target in tree.known:
            yield name, number, f'an installed header includes "{target}" of src/'


def check_includes(tree):
    rooms = read_rooms(tree)
    for name in tree.code("src/"):
        yield from check_room_includes(tree, rooms, name)
        if name.startswith(("src/plugin_host/", "src/smi_check/")):
            continue
        for number, line in enumerate(without_comments(tree.lines(name)), 1):
            if MAPS_CODE.search(line):
                yield name, number, "maps a library: only plugin_host and smi_check do that"
    for name in tree.code("plugins/"):
        yield from check_plugin_includes(tree, rooms, name)
    for name in tree.code("include/"):
        yield from check_public_includes(tree, name)
    present = {r.name for r in (room_of(rooms, n[len("src/"):]) for n in tree.code("src/")) if r}
    for room in sorted(present):
        if f"src/{room}/README.md" not in tree.known:
            yield f"src/{room}", 1, "the room has no README.md (one page: what it is, where to look)"


def needs_licence(tree, name):
    base = os.path.basename(name)
    if name.endswith(CODE + (".cmake", ".py", ".sh", ".proto")) or base == "CMakeLists.txt":
        return True
    if "." in base and not name.startswith(".ci/"):
        return False
    with open(os.path.join(tree.root, name), "rb") as file:
        return file.read(2) == b"#!"


def check_licence(tree):
    for name in tree.files:
        if not needs_licence(tree, name):
            continue
        lines = tree.lines(name)
        if name.endswith("CMakeLists.txt") and len(lines) < 15:
            continue  # a list of file names: nothing in it to license
        if lines and not any(LICENCE in line for line in lines[:5]):
            yield name, 1, f"has no line '{LICENCE}' near its top"


def check_hosts(tree):
    for name in tree.files:
        base = os.path.basename(name)
        if not (name.startswith(("scripts/", "cmake/", ".ci/", "tests/", "bench/"))
                or base == "CMakeLists.txt" or name.endswith((".cmake", ".py", ".sh"))):
            continue
        if name.startswith("tests/fuzz-corpus/"):
            continue  # what a fuzzer was fed names whatever it likes
        if not name.endswith(CODE + (".py", ".sh", ".txt", ".cmake", ".json", ".yaml")) and "." in base:
            continue
        for number, line in enumerate(tree.lines(name), 1):
            for host in URL.findall(line):
                if not LOOPBACK.match(host):
                    yield name, number, f"names the host '{host}'; scripts use the clients' own settings"


def check_links(tree):
    for name in tree.files:
        if not name.endswith(".md"):
            continue
        for number, line in enumerate(tree.lines(name), 1):
            for target in LINK.findall(line):
                if re.match(r"[a-z]+:", target) or target.startswith("#"):
                    continue
                path = os.path.join(tree.root, os.path.dirname(name), target.split("#")[0])
                if not os.path.exists(path):
                    yield name, number, f"points to {target}, which does not exist"


RULES = {"includes": check_includes, "licence": check_licence, "hosts": check_hosts,
         "links": check_links}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(here)))
    parser.add_argument("rules", nargs="+", choices=sorted(RULES))
    args = parser.parse_args()
    tree = Tree(args.root)
    faults = 0
    for rule in args.rules:
        for name, number, text in RULES[rule](tree):
            print(f"{name}:{number}: {text}")
            faults += 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
