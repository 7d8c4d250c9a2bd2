#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs clang over the files of a build folder's compile commands, without building.

    clang_db.py syntax BUILD_DIR                 every file through -fsyntax-only (lock annotations)
    clang_db.py tidy BUILD_DIR [--base COMMIT]   clang-tidy over what changed since COMMIT

A header that changed stands for the files that include it, directly or not.  What was clean
is remembered by content (the file, all of this tree that it includes, its flags and the
checks), in $XDG_CACHE_HOME/mlos-check, so a second run looks only at what is new.
--seconds bounds the run: what is left over then is named, and does not fail.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time

INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.M)
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLANG_TIDY = "clang-tidy-14"


class Includes:
    """Which files of this tree a file reaches, by reading them."""

    def __init__(self):
        self.direct = {}

    def of(self, path):
        if path not in self.direct:
            with open(path, encoding="utf-8", errors="replace") as file:
                names = INCLUDE.findall(file.read())
            folders = (os.path.dirname(path), ROOT + "/src", ROOT + "/include", ROOT)
            found = set()
            for name in names:
                for folder in folders:
                    candidate = os.path.normpath(os.path.join(folder, name))
                    if os.path.isfile(candidate) and candidate.startswith(ROOT + "/"):
                        found.add(candidate)
                        break
            self.direct[path] = found
        return self.direct[path]

    def reach(self, path):
        seen, todo = {path}, [path]
        while todo:
            for name in self.of(todo.pop()) - seen:
                seen.add(name)
                todo.append(name)
        return seen


class Unit:
    def __init__(self, entry, includes):
        self.path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
        self.name = os.path.relpath(self.path, ROOT)
        self.directory = entry["directory"]
        self.arguments = entry.get("arguments") or shlex.split(entry["command"])
        self.reach = includes.reach(self.path)

    def syntax_command(self):
        """The compile command without its launcher, output and dependency files."""
        words, kept = self.arguments, []
        start = next(i for i, w in enumerate(words)
                     if re.search(r"(^|/)(clang|g)(\+\+|cc)?(-\d+)?$|(^|/)c(\+\+|c)$", w))
        skip = False
        for word in words[start:]:
            if skip or word in ("-o", "-MT", "-MF", "-MQ"):
                skip = not skip
                continue
            if word not in ("-c", "-MD", "-MMD"):
                kept.append(word)
        return kept + ["-fsyntax-only"]

    def digest(self, salt):
        hasher = hashlib.sha256(salt.encode())
        for word in self.syntax_command():
            hasher.update(word.replace(ROOT, ".").encode() + b"\0")
        for path in sorted(self.reach):
            with open(path, "rb") as file:
                hasher.update(os.path.relpath(path, ROOT).encode() + b"\0" + file.read() + b"\0")
        return hasher.hexdigest()


def load_units(build_dir):
    with open(os.path.join(build_dir, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    includes, units = Includes(), {}
    for entry in entries:
        path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
        if path.startswith(ROOT + "/") and not path.startswith(ROOT + "/build/"):
            units.setdefault(path, Unit(entry, includes))
    return list(units.values())


def git(*words):
    run = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=False)
    return run.stdout.split("\n")[:-1] if run.returncode == 0 else []


def changed_files(base):
    """Paths that differ from `base`, committed or not, the most recently touched first."""
    names = set(git("diff", "--name-only", "--diff-filter=d", base, "--"))
    names |= set(git("ls-files", "-o", "--exclude-standard"))
    return {os.path.join(ROOT, n) for n in names}


def tidy_order(units, changed):
    """Files that changed themselves first, what is shipped before its tests; then, for each
    changed header that none of those shows, the one that reaches it with the least else."""
    chosen = sorted((u for u in units if u.path in changed),
                    key=lambda u: u.path.endswith("_test.cc") or ROOT + "/tests/" in u.path)
    shown = set().union(*(u.reach for u in chosen)) if chosen else set()
    for header in sorted(changed):
        if header.endswith((".h", ".hpp")) and header not in shown:
            users = [u for u in units if header in u.reach]
            if users:
                user = min(users, key=lambda u: len(u.reach))
                chosen.append(user)
                shown |= user.reach
    return chosen


class Cache:
    def __init__(self, kind):
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        self.folder = os.path.join(home, "mlos-check", kind)
        os.makedirs(self.folder, exist_ok=True)

    def has(self, digest):
        path = os.path.join(self.folder, digest)
        if os.path.exists(path):
            os.utime(path)
            return True
        return False

    def add(self, digest):
        with open(os.path.join(self.folder, digest), "w", encoding="utf-8"):
            pass

    def drop_old(self, days=30):
        for entry in os.scandir(self.folder):
            if entry.stat().st_mtime < time.time() - days * 86400:
                os.unlink(entry.path)


def run_all(units, command_of, salt, kind, args):
    """Runs the command of each unit, args.jobs at once; returns how many failed."""
    cache, started = Cache(kind), time.monotonic()
    cache.drop_old()
    digests = {unit: unit.digest(salt) for unit in units}
    todo = [unit for unit in units if not cache.has(digests[unit])]
    failed, left = [], []

    def work(unit):
        if args.seconds and time.monotonic() - started > args.seconds:
            left.append(unit)
            return
        run = subprocess.run(command_of(unit), cwd=unit.directory, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, check=False)
        if run.returncode == 0:
            cache.add(digests[unit])
            return
        failed.append(unit)
        kept = [line for line in run.stdout.split("\n")
                if not re.match(r"\d+ warnings? (generated|treated)|Suppressed \d|Use -header-filter",
                                line)]
        print(f"{unit.name}: FAILED\n" + "\n".join(kept).replace(ROOT + "/", "").strip(), flush=True)

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(work, todo))
    print(f"{kind}: {len(units)} files, {len(units) - len(todo)} known to be clean, "
          f"{len(todo) - len(failed) - len(left)} clean now, {len(failed)} with faults")
    if left:
        print(f"{kind}: no time for {len(left)} files: " + " ".join(sorted(u.name for u in left)))
    return len(failed)


def version_of(command):
    return subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout


def prove_syntax_bites(units):
    """A file that breaks an annotation must fail, or the run proves nothing."""
    unit = next((u for u in units if ROOT + "/src/base/mutex.h" in u.reach), units[0])
    code = ('#include "base/mutex.h"\n'
            "struct S { mlos::Mutex mutex; int x MLOS_GUARDED_BY(mutex) = 0; };\n"
            "int Read(S& s) { return s.x; }\n")
    words = [w for w in unit.syntax_command() if w != unit.path] + ["-x", "c++", "-"]
    run = subprocess.run(words, cwd=unit.directory, input=code, capture_output=True, text=True,
                         check=False)
    if run.returncode == 0 or "requires holding mutex" not in run.stderr:
        sys.exit("error: clang accepted a read of a guarded member without its lock; "
                 "the annotations are not being checked\n" + run.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("mode", choices=("syntax", "tidy"))
    parser.add_argument("build_dir")
    parser.add_argument("--base", help="tidy: what changed since this commit; default: all files")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    units = load_units(args.build_dir)
    if not units:
        sys.exit("error: the build folder lists no file of this tree")
    if args.mode == "syntax":
        cxx = [u for u in units if not u.path.endswith(".c")]
        prove_syntax_bites(cxx)
        failed = run_all(cxx, Unit.syntax_command, version_of(cxx[0].syntax_command()[0]),
                         "annotations", args)
    else:
        if args.base:
            units = tidy_order(units, changed_files(args.base))
        salt = version_of(CLANG_TIDY)
        for name in sorted(git("ls-files", "-co", "--exclude-standard", "*.clang-tidy")):
            with open(os.path.join(ROOT, name), encoding="utf-8") as file:
                salt += file.read()
        failed = run_all(
            units, lambda u: [CLANG_TIDY, "-p", args.build_dir, "--quiet", u.path], salt, "tidy", args)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
