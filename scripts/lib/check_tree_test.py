#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants each fault that check_tree.py promises to find, and sees it found."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"


class CheckTreeTest(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="mlos-check-")
        self.addCleanup(shutil.rmtree, self.root)
        os.makedirs(os.path.join(self.root, "scripts/lib"))
        shutil.copy(os.path.join(HERE, "rooms.txt"), os.path.join(self.root, "scripts/lib"))
        for room in ("base", "channel", "engine", "plugin_host", "frontends/http"):
            self.write(f"src/{room}/README.md", "A room.\n")
            self.write(f"src/{room}/{room[:4]}.h", SPDX)
        self.write("include/mlos/smi.h", SPDX + "#include <stdint.h>\n")

    def write(self, name, text):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def check(self, rule):
        run = subprocess.run(
            [sys.executable, os.path.join(HERE, "check_tree.py"), "--root", self.root, rule],
            capture_output=True, text=True, check=False)
        self.assertEqual(run.stderr, "")
        self.assertEqual(run.returncode, 1 if run.stdout else 0)
        return run.stdout

    def test_accepts_a_sound_tree(self):
        self.write("src/engine/a.cc", SPDX + '#include "base/base.h"\n#include "mlos/smi.h"\n')
        for rule in ("includes", "licence", "hosts", "links"):
            self.assertEqual(self.check(rule), "")

    def test_include_upward(self):
        self.write("src/base/a.cc", '\n#include "engine/engi.h"\n')
        self.assertIn('src/base/a.cc:2: includes "engine/engi.h"', self.check("includes"))

    def test_include_upward_in_angle_brackets(self):
        self.write("src/base/a.cc", "#include <engine/engi.h>\n")
        self.assertIn("src/base/a.cc:1:", self.check("includes"))

    def test_include_sideways(self):
        self.write("src/frontends/grpc/README.md", "A room.\n")
        self.write("src/frontends/grpc/a.cc", '#include "frontends/http/fron.h"\n')
        self.assertIn("must not include room frontends/http", self.check("includes"))

    def test_core_reaches_into_the_plugin_host(self):
        self.write("src/engine/a.cc", '#include "plugin_host/plug.h"\n')
        self.assertIn("must not include room plugin_host", self.check("includes"))

    def test_unknown_room(self):
        self.write("src/attic/a.cc", "\n")
        self.assertIn("lies in no room", self.check("includes"))

    def test_room_without_readme(self):
        os.remove(os.path.join(self.root, "src/base/README.md"))
        self.assertIn("src/base:1: the room has no README.md", self.check("includes"))

    def test_missing_and_unrooted_includes(self):
        self.write("src/engine/a.cc", '#include "base/gone.h"\n#include "engi.h"\n')
        found = self.check("includes")
        self.assertIn("a.cc:1:", found)
        self.assertIn("a.cc:2:", found)

    def test_plugin_sees_only_smi(self):
        self.write("plugins/one/a.cc", '#include "mlos/smi.h"\n#include "own.h"\n')
        self.write("plugins/one/own.h", "\n")
        self.assertEqual(self.check("includes"), "")
        self.write("plugins/one/b.cc", '#include "base/base.h"\n')
        self.write("plugins/one/c.cc", '#include "mlos/client.h"\n')
        self.write("plugins/two/d.cc", '#include "../one/own.h"\n')
        found = self.check("includes")
        for name in ("one/b.cc:1", "one/c.cc:1", "two/d.cc:1"):
            self.assertIn(name, found)

    def test_smi_stays_plain(self):
        self.write("include/mlos/smi.h", "#include <stdio.h>\n")
        self.assertIn("smi.h includes stdio.h", self.check("includes"))

    def test_core_maps_a_library(self):
        self.write("src/engine/a.cc", '// dlopen(x)\nconst char* t = "dlopen(x)";\n')
        self.assertEqual(self.check("includes"), "")
        self.write("src/engine/b.cc", "\nvoid* p = dlopen(name, 1);\n")
        self.write("src/plugin_host/b.cc", "void* p = dlopen(name, 1);\n")
        self.assertEqual(self.check("includes").count("\n"), 1)

    def test_licence(self):
        self.write("src/base/a.cc", "int x;\n")
        self.write("tool", "#!/bin/sh\ntrue\n")
        self.write("CMakeLists.txt", "project(x)\n" * 20)
        found = self.check("licence")
        for name in ("src/base/a.cc:1", "tool:1", "CMakeLists.txt:1"):
            self.assertIn(name, found)

    def test_hosts(self):
        self.write("scripts/get", "curl http://127.0.0.1:8080/v2 http://[::1]:80/ http://$HTTP/\n")
        self.assertEqual(self.check("hosts"), "")
        self.write("scripts/get", "\ncurl https://" + "packages.example.org/x\n")
        self.assertIn("scripts/get:2:", self.check("hosts"))

    def test_links(self):
        self.write("docs/a.md", "[b](b.md#x) [web](https://HOST/) [c](../src/base/base.h)\n")
        self.assertIn("docs/a.md:1: points to b.md#x", self.check("links"))
        self.write("docs/b.md", "\n")
        self.assertEqual(self.check("links"), "")


if __name__ == "__main__":
    unittest.main()
