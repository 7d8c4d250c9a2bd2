#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libmlos as it is installed: what it exports, and that the examples build against it and run.

    install_test.py --build DIRECTORY      a release build of the whole tree
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/python"))
from daemon import Daemon  # noqa: E402  (the tests' own, below tests/python)

DIGITS = ROOT / "examples/digits"
build = None  # set by main


def run(*command, **options):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=300, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}")
    return done.stdout


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="mlos-install-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.prefix = cls.directory / "prefix"
        run("cmake", "--install", build, "--component", "client", "--prefix", cls.prefix)
        cls.library = next(cls.prefix.rglob("libmlos.so.1"))
        cls.daemon = cls.enterClassContext(Daemon(build))
        cls.daemon.bring_onnx()
        cls.daemon.register_model("digits", DIGITS / "model.onnx")
        cls.daemon.model_action("digits", "load")
        cls.environment = {**os.environ, "MLOS_HOST": cls.daemon.ipc_address,
                           "LD_LIBRARY_PATH": str(cls.library.parent)}

    def built_with_cmake(self, example):
        place = self.directory / example
        run("cmake", "-S", ROOT / "examples" / example, "-B", place,
            f"-DCMAKE_PREFIX_PATH={self.prefix}", "-DCMAKE_BUILD_TYPE=Release")
        run("cmake", "--build", place)
        return place / example

    def test_exports_its_interface_and_nothing_else(self):
        header = (self.prefix / "include/mlos/client.h").read_text()
        symbols = {line.split()[-1].split("@")[0]
                   for line in run("nm", "-D", "--defined-only", self.library).splitlines()
                   if line.split()[-2] == "T"}
        self.assertTrue(symbols)
        for symbol in symbols:
            self.assertIn(f"{symbol}(", header)
        declared = {word.split("(")[0].lstrip("*") for word in header.split()
                    if word.lstrip("*").startswith("mlos_") and "(" in word}
        self.assertEqual(set(), declared - symbols, "declared and not there")

    def test_header_is_strict_c11(self):
        program = self.directory / "strict.c"
        program.write_text('#include "mlos/client.h"\nint main(void) { return 0; }\n')
        run("cc", "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
            f"-I{self.prefix}/include", program)

    def test_the_example_in_cpp_reads_digits(self):
        program = self.built_with_cmake("client_cpp")
        said = [int(line) for line in
                run(program, DIGITS / "heldout.f32", env=self.environment).split()]
        truth = (DIGITS / "heldout.labels").read_bytes()
        self.assertEqual(len(truth), len(said))
        right = sum(a == b for a, b in zip(said, truth))
        self.assertGreater(right, 0.9 * len(truth))

    def test_the_example_in_c_runs_any_model(self):
        program = self.built_with_cmake("client_c")
        said = run(program, "digits", env=self.environment)
        self.assertIn("label: INT64, 8 bytes", said)
        self.assertIn("probabilities: FP32, 40 bytes", said)

    def test_pkg_config_knows_it(self):
        environment = {**os.environ, "PKG_CONFIG_PATH": str(self.library.parent / "pkgconfig")}
        flags = run("pkg-config", "--cflags", "--libs", "mlos", env=environment).split()
        program = self.directory / "by_pkg_config"
        run("cc", "-std=c11", ROOT / "examples/client_c/main.c", "-o", program, *flags)
        self.assertIn("label: INT64", run(program, "digits", env=self.environment))

    def test_a_model_that_there_is_not_is_said(self):
        program = self.built_with_cmake("client_c")
        with self.assertRaisesRegex(AssertionError, "NOT_FOUND"):
            run(program, "absent", env=self.environment)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    arguments, rest = parser.parse_known_args()
    build = arguments.build.resolve()
    unittest.main(argv=[sys.argv[0], *rest])
