#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Node's client against the real daemon: starts one, and node_grpc_client.js, which has the tests."""

import os
import subprocess
import sys
import unittest

import fixture
from daemon import ROOT

LIMIT_S = 240
SKIPPED = 77


class NodeTest(fixture.ClientTest):
    def test_client(self):
        self.daemon.bring_plugin(self.build.resolve() / "test-plugins/slow/1.0.0")
        self.daemon.register_model("slow", ROOT / "tests/plugins/model.test", plugin="slow")
        done = subprocess.run(
            [ROOT / "tests/node/run", ROOT / "tests/clients/node_grpc_client.js"],
            env={**os.environ, "MLOS_GRPC": self.daemon.grpc_address}, timeout=LIMIT_S,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        print(done.stdout, file=sys.stderr)
        if done.returncode == SKIPPED:
            raise unittest.SkipTest(done.stdout)
        self.assertEqual(0, done.returncode)


if __name__ == "__main__":
    fixture.main()
