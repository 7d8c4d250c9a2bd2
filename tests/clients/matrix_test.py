#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/clients.md against what is tried: each test of a client is named there, each test that it
names is there, and versions are those that are pinned."""

import json
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/clients.md").read_text()
# What has no line of its own: hostile clients, and this.
NO_CLIENTS = {"clients_grpc_abuse_test", "clients_matrix_test"}


def pinned():
    """Versions by package."""
    versions = {}
    for name in ("requirements", "requirements-kserve"):
        file = ROOT / f"tests/python/{name}.txt"
        versions.update(re.findall(r"^([\w.-]+)(?:\[\w+\])?==([\w.]+)", file.read_text(), re.M))
    lock = json.loads((ROOT / "tests/node/package-lock.json").read_text())
    for place, package in lock["packages"].items():
        versions[place.removeprefix("node_modules/")] = package.get("version")
    return versions


class MatrixTest(unittest.TestCase):
    def test_names_what_is_tried(self):
        tests = {f"clients_{file.stem}" for file in (ROOT / "tests/clients").glob("*_test.*")}
        named = set(re.findall(r"`(clients_\w+_test)`", PAGE))
        self.assertLess(5, len(named))
        self.assertEqual(tests - NO_CLIENTS, named)

    def test_versions_are_those_that_are_pinned(self):
        versions = pinned()
        packages = {"tritonclient": "tritonclient", "grpcio-reflection": "grpcio-reflection",
                    "grpcio": "grpcio", "KServe": "kserve",
                    "@grpc/grpc-js": "@grpc/grpc-js"}  # the longer of two names first
        # perf_analyzer is that of an older tritonclient's wheel.
        (perf,) = re.findall(r"tritonclient[^=]*==([\d.]+)",
                             (ROOT / "tests/python/requirements-perf.txt").read_text())
        seen = 0
        for name, version in re.findall(r"^\| (.*?) \| ([\d.]+) \|", PAGE, re.M):
            for text, package in packages.items():
                if text in name.split(",")[0]:
                    self.assertEqual(versions[package], version, name)
                    seen += 1
                    break
            if "perf_analyzer" in name:
                self.assertEqual(perf, version)
                seen += 1
        self.assertLessEqual(8, seen)


if __name__ == "__main__":
    unittest.main()
