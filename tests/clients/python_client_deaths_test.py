#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Python client, and daemons and plugin hosts that end or are replaced under it."""

import os
import pathlib
import shutil
import signal
import tempfile
import threading
import time
import unittest

import fixture
from daemon import Daemon, onnx_package, wait_until
from fixture import digits
from python_client import LIMIT_S, SLICE_S, interrupt_once, mlos, use_library


def version_of(package, version, to):
    """A copy of a package that says it is another version."""
    copy = pathlib.Path(to) / package.parent.name / version
    shutil.copytree(package, copy)
    manifest = copy / "plugin.yaml"
    manifest.write_text(manifest.read_text().replace(f"version: {package.name}",
                                                     f"version: {version}"))
    return copy


class PythonClientDeathsTest(unittest.TestCase):
    """A daemon of its own for each."""

    def start(self, directory):
        """A daemon whose address and data stay when another follows."""
        daemon = Daemon(fixture.ClientTest.build, lasting=directory)
        self.addCleanup(daemon.kill)
        return daemon

    def bring_digits(self):
        directory = tempfile.mkdtemp(prefix="mlos-python-")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        daemon = self.start(directory)
        daemon.bring_onnx()
        daemon.register_model("digits", fixture.DIGITS / "model.onnx")
        daemon.model_action("digits", "load")
        use_library(daemon.build)
        client = mlos.Client(daemon.ipc_address, timeout=LIMIT_S)
        self.addCleanup(client.close)
        return directory, daemon, client

    def test_the_daemon_is_killed_and_started_again(self):
        directory, daemon, client = self.bring_digits()
        images, _ = digits()
        model = client.open("digits")
        call = model.prepare({"image": images[:3]})
        call.run()
        before, stale = model.infer({"image": images[:3]}), call.outputs["label"]
        daemon.kill()
        # Also while there is no daemon, and when it has been waited for in several slices.
        late = time.monotonic() + 5 * SLICE_S
        with self.assertRaises(KeyboardInterrupt), interrupt_once(
                lambda: call._submitted and time.monotonic() > late):
            call.run(timeout=600)
        with self.assertRaises(mlos.Error):
            model.infer({"image": images[:3]}, timeout=0.2)
        self.start(directory)
        after = model.infer({"image": images[:3]})
        self.assertEqual(before["label"].tolist(), after["label"].tolist())
        call.run()
        self.assertEqual(before["label"].tolist(), call.outputs["label"].tolist())
        self.assertEqual(before["label"].tolist(), stale.tolist())
        self.assertTrue(client.ready)

    def test_the_plugin_host_is_killed_between_two_runs(self):
        _, daemon, client = self.bring_digits()
        images, _ = digits()
        call = client.open("digits").prepare({"image": images[:1]})
        for _ in range(5):
            call.run()
            label = call.outputs["label"]
            host = daemon.host_pid("onnxruntime")
            os.kill(host, signal.SIGKILL)
            call.run()
            self.assertEqual(label.tolist(), call.outputs["label"].tolist())
            wait_until(lambda: daemon.host_pid("onnxruntime") not in (None, host), LIMIT_S,
                       "a successor")

    def test_the_plugin_is_swapped_while_it_calls(self):
        directory, daemon, client = self.bring_digits()
        package = onnx_package(fixture.ClientTest.build)
        copy = version_of(package, "9.1.0", directory)
        daemon.manage("POST", "/plugins", {"path": str(copy)})
        images, _ = digits()
        model = client.open("digits")
        expected = model.infer({"image": images[:1]})["label"].tolist()
        swapped, failures = threading.Event(), []

        def swap():
            try:
                for version in ("9.1.0", package.name, "9.1.0"):
                    daemon.manage("POST", "/plugins/onnxruntime/swap", {"to": version})
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)
            finally:
                swapped.set()

        thread = threading.Thread(target=swap)
        thread.start()
        answers = 0
        while not swapped.is_set() or answers < 50:
            self.assertEqual(expected, model.infer({"image": images[:1]})["label"].tolist())
            answers += 1
        thread.join()
        self.assertEqual([], failures)


if __name__ == "__main__":
    fixture.main()
