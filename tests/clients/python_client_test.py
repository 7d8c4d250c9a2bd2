#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Python client (clients/python) over libmlos, through what happens to models and daemons."""

import gc
import os
import subprocess
import sys
import threading

import numpy as np

import fixture
from daemon import ROOT, wait_until
from fixture import VALUES, digits, identity
from python_client import LIMIT_S, SOURCE, interrupt_once, mlos, use_library

MODEL = ROOT / "tests/plugins/model.test"


class PythonClientTest(fixture.ClientTest):
    @classmethod
    def setUpClass(cls):
        use_library(cls.build)
        super().setUpClass()
        for plugin in ("echo", "slow", "complete"):
            cls.daemon.bring_plugin(cls.daemon.build / f"test-plugins/{plugin}/1.0.0")
            cls.daemon.register_model(plugin, MODEL, plugin=plugin)
        cls.daemon.register_model("echo_bytes", MODEL, plugin="echo",
                                  config={"parameters": {"datatype": "BYTES"}})

    def setUp(self):
        self.client = mlos.Client(self.daemon.ipc_address, timeout=LIMIT_S)
        self.addCleanup(self.client.close)

    def busy(self, model, millis):
        """A call of `slow` that takes so long."""
        return model.prepare({"X": np.array([millis], np.int64)})

    # ------------------------------------------------------------- what it is

    def test_digits(self):
        images, labels = digits()
        model = self.client.open("digits")
        self.assertEqual(("digits", "1"), (model.name, model.version))
        self.assertEqual([mlos.TensorSpec("image", "FP32", (-1, 64))], model.inputs)
        self.assertEqual({"label", "probabilities"}, {spec.name for spec in model.outputs})
        got = model.infer({"image": images})["label"]
        self.assertGreater(np.mean(got == labels), 0.9)
        one_by_one = model.prepare({"image": (1, 64)}, outputs=["label"])
        for image, expected in zip(images, got):
            one_by_one.inputs["image"][0] = image
            one_by_one.run()
            self.assertEqual([expected], one_by_one.outputs["label"].tolist())
        self.assertEqual(["label"], list(one_by_one.outputs))

    def test_the_server(self):
        self.assertTrue(self.client.ready)
        self.assertEqual("mlos", self.client.server_state().name)
        self.assertEqual("echo", self.client.control("model.get", "echo", "1")["name"])
        with self.assertRaises(mlos.NotFoundError) as caught:
            self.client.control("model.load", "absent", "1")
        self.assertIn("absent", caught.exception.text)

    def test_every_datatype(self):
        for datatype, array in VALUES.items():
            with self.subTest(datatype):
                model = self.client.open(identity(datatype))
                self.assertEqual(datatype, model.inputs[0].datatype)
                expected = array.view(np.uint16) if datatype == "BF16" else array
                self.assert_same(expected, model.infer({"x": array})["y"])
                call = model.prepare({"x": expected})
                call.run()
                self.assert_same(expected, call.outputs["y"])
                self.assert_same(expected, call.borrow("y"))

    def test_bytes(self):
        model = self.client.open("echo_bytes")
        for values in ([b"one", b"", "größe", b"a\0b\0"], [], [b"x" * 100_000]):
            got = model.infer({"X": values})["Y"]
            self.assertEqual([v.encode() if isinstance(v, str) else v for v in values],
                             got.tolist())
        call = model.prepare({"X": mlos.BytesSpec((2,), 4 + 1 + 4 + 2)})
        call.inputs["X"][:] = mlos.pack_bytes([b"a", b"bc"])
        call.run()
        self.assertEqual([b"a", b"bc"], call.outputs["Y"].tolist())
        with self.assertRaises(mlos.InvalidArgumentError):
            model.prepare({"X": (2,)})
        with self.assertRaises(mlos.InvalidArgumentError):
            model.infer({"X": [1, 2]})

    def test_outputs_optional_inputs_and_parameters(self):
        model = self.client.open("complete")
        self.assertEqual([False, False, True], [spec.optional for spec in model.inputs])
        a, b = np.full((2, 2), 5, np.float32), np.ones((2, 2), np.float32)
        both = model.infer({"A": a, "B": b}, parameters={"priority": 3, "word": "größe"})
        self.assertEqual({"SUM": 6, "DIFF": 4}, {k: v[0, 0] for k, v in both.items()})
        only = model.infer({"A": a, "B": b, "C": b}, outputs=["SUM"])
        self.assertEqual(({"SUM"}, 7), (set(only), only["SUM"][1, 1]))
        with self.assertRaisesRegex(mlos.InvalidArgumentError, "parameters have at most"):
            model.infer({"A": a, "B": b}, parameters={"long": "x" * (1 << 22)})
        with self.assertRaisesRegex(mlos.InvalidArgumentError, 'no output "SUMS", but "SUM"'):
            model.infer({"A": a, "B": b}, outputs=["SUMS"])
        for none in ([], "SUM"):
            with self.assertRaisesRegex(mlos.InvalidArgumentError, "a list of names"):
                model.infer({"A": a, "B": b}, outputs=none)

    def test_errors(self):
        with self.assertRaises(mlos.UnavailableError):
            mlos.Client("unix:///nowhere/mlos.sock")
        with self.assertRaises(mlos.InvalidArgumentError):
            mlos.Client("http://localhost:1")
        with self.assertRaises(mlos.NotFoundError):
            self.client.open("absent")
        model = self.client.open("digits")
        for inputs, why in (({"image": np.zeros((1, 63), np.float32)}, "shape"),
                            ({"image": np.zeros((1, 64))}, "float32, not of float64"),
                            ({}, "missing"), ({"picture": [1]}, 'no input "picture"'),
                            ({"image": np.zeros((1,) * 17, np.float32)}, "16 dimensions"),
                            ({"image": [["a"]]}, "could not convert")):
            with self.subTest(why), self.assertRaisesRegex(mlos.InvalidArgumentError, why):
                model.infer(inputs)
        call = model.prepare({"image": (1, 64)})
        for action in (call.wait, lambda: call.outputs, lambda: call.borrow("label")):
            with self.assertRaises(mlos.FailedPreconditionError):
                action()
        with self.assertRaises(mlos.InvalidArgumentError):
            call.run(timeout=-1)

    def test_calls_are_kept(self):
        model = self.client.open("echo")
        for n in (1, 2, 3, 2, 1):
            model.infer({"X": np.zeros(n, np.float32)})
        self.assertEqual(3, len(model._kept))
        for n in range(100):  # more than a model can have
            model.infer({"X": np.zeros(n, np.float32)})
        self.assertLessEqual(len(model._kept), 8)

    # ------------------------------------------------------------------- time

    def test_timeouts(self):
        model = self.client.open("slow")
        with self.assertRaises(mlos.DeadlineExceededError):
            model.infer({"X": [60_000]}, timeout=0.05)
        self.assertEqual([1], model.infer({"X": [1]})["Y"].tolist())
        call = self.busy(model, 60_000)
        with self.assertRaises(TimeoutError):
            call.run(timeout=0.05)
        wait_until(lambda: call.idle, LIMIT_S, "the model gives up")
        call.inputs["X"][0] = 1
        call.run()
        self.assertEqual([1], call.outputs["Y"].tolist())

    def test_several_at_once(self):
        model = self.client.open("complete")
        calls = []
        for n in range(6):
            array = np.full((1, 2), n, np.float32)
            calls.append(model.prepare({"A": array, "B": array}, outputs=["SUM"]))
            calls[-1].submit()
        with self.assertRaises(mlos.FailedPreconditionError):
            calls[0].submit()
        seen = set()
        while len(seen) < len(calls):
            call = model.wait_any()
            self.assertTrue(call.done)
            call.wait()
            seen.add(call.outputs["SUM"][0, 0])
        self.assertEqual({0, 2, 4, 6, 8, 10}, seen)
        with self.assertRaises(mlos.FailedPreconditionError):
            model.wait_any()

    def test_one_waits_while_another_is_done(self):
        model, slow = self.client.open("slow"), self.client.open("slow")
        first, second = self.busy(model, 0), self.busy(model, 300)
        first.submit()
        second.submit()
        second.wait()
        self.assertTrue(first.done)
        first.wait()
        call = self.busy(slow, 60_000)
        call.submit()
        self.assertFalse(call.done)
        with self.assertRaises(mlos.DeadlineExceededError):
            slow.wait_any(timeout=0.02)
        call.cancel()
        with self.assertRaises(mlos.CancelledError):
            call.wait()

    def test_an_interruption_ends_a_long_run(self):
        call = self.busy(self.client.open("slow"), 600_000)
        with self.assertRaises(KeyboardInterrupt), interrupt_once(lambda: call._submitted):
            call.run(timeout=600)
        wait_until(lambda: call.idle, LIMIT_S, "the model gives up")
        call.inputs["X"][0] = 0
        call.run()

    # ----------------------------------------------------------------- memory

    def test_arrays_outlive_what_they_look_at(self):
        client = mlos.Client(self.daemon.ipc_address, timeout=LIMIT_S)
        model = client.open("echo")
        call = model.prepare({"X": np.arange(200_000, dtype=np.float32)})
        call.run()
        shown, lent, filled = call.outputs["Y"], call.borrow("Y"), call.inputs["X"]
        part = lent[10:20].reshape(2, 5)
        for array in (shown, lent, part):
            with self.assertRaises(ValueError):
                array[...] = 0
        client.close()
        del call, model, client
        gc.collect()
        self.assertEqual(list(range(10, 20)), part.reshape(-1).tolist())
        self.assertEqual(199_999, lent[-1])
        filled[:] = 7
        self.assertEqual(199_999, shown[-1])
        del lent, filled, part
        gc.collect()
        self.assertEqual([2], self.client.open("echo").infer({"X": [2]})["Y"].tolist())

    def test_what_is_closed_says_so(self):
        model = self.client.open("echo")
        call = model.prepare({"X": (1,)})
        call.close()
        with self.assertRaisesRegex(mlos.FailedPreconditionError, "closed"):
            call.run()
        with model:
            pass
        with self.assertRaisesRegex(mlos.FailedPreconditionError, "closed"):
            model.infer({"X": [1]})
        self.client.close()
        with self.assertRaisesRegex(mlos.FailedPreconditionError, "closed"):
            self.client.open("echo")

    def test_nothing_is_left_of_what_was_closed(self):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            with mlos.Client(self.daemon.ipc_address, timeout=LIMIT_S) as client:
                call = client.open("echo").prepare({"X": np.ones(3, np.float32)})
                call.run()
                lent = call.borrow("Y")
                self.assertLess(before, len(os.listdir("/proc/self/fd")))
        del client, call, lent
        gc.collect()
        self.assertEqual(before, len(os.listdir("/proc/self/fd")))

    def test_a_borrowed_output_holds_up_the_next_run(self):
        call = self.client.open("echo").prepare({"X": np.ones(4, np.float32)})
        call.run()
        lent = call.borrow("Y")[1:]
        with self.assertRaisesRegex(mlos.FailedPreconditionError, "borrow"):
            call.run()
        self.assertEqual([1, 1, 1], lent.tolist())
        del lent
        call.run()

    def test_outputs_are_overwritten_and_copies_are_not(self):
        model = self.client.open("echo")
        call = model.prepare({"X": (1,)})
        kept = []
        for n in range(3):
            call.inputs["X"][0] = n
            call.run()
            shown = call.outputs["Y"]
            self.assertEqual(n, shown[0])
            kept.append(call.copies()["Y"])
        self.assertEqual([0, 1, 2], [int(array[0]) for array in kept])
        kept[0][0] = 9  # it is ours

    # ---------------------------------------------------------------- threads

    def test_one_thread_at_a_time(self):
        call = self.busy(self.client.open("slow"), 60_000)
        begun, failures = threading.Event(), []

        def wait():
            begun.set()
            try:
                call.run(timeout=0.6)
            except mlos.Error as error:
                failures.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        begun.wait()

        def refused():
            try:
                self.client.server_state()
            except mlos.FailedPreconditionError as error:
                return "one thread" in error.text
            return False

        wait_until(refused, LIMIT_S, "the other thread is refused")
        thread.join()
        self.assertEqual(1, len(failures))

    def test_a_child_needs_its_own(self):
        call = self.client.open("echo").prepare({"X": np.ones(1, np.float32)})
        child = os.fork()
        if child == 0:
            code = 1
            try:
                call.run()
            except mlos.FailedPreconditionError:
                del call
                code = 0
            finally:
                os._exit(code)
        self.assertEqual(0, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        call.run()

    def test_a_library_that_is_missing_is_named(self):
        done = subprocess.run(
            [sys.executable, "-c", "import mlos; mlos.Client()"], capture_output=True, text=True,
            env={**os.environ, "MLOS_LIBRARY": "/nowhere/libmlos.so.1",
                 "PYTHONPATH": str(SOURCE)}, check=False)
        self.assertIn("MLOS_LIBRARY.  Tried: /nowhere/libmlos.so.1", done.stderr)


if __name__ == "__main__":
    fixture.main()
