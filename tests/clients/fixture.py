# SPDX-License-Identifier: Apache-2.0
"""A daemon with the models that the tests of clients call; one for all tests of a program.

    if __name__ == "__main__":
        fixture.main()          # takes --build DIRECTORY, and unittest's options
"""

import pathlib
import sys
import unittest

import ml_dtypes
import numpy as np

from daemon import ROOT, Daemon

TESTDATA = ROOT / "plugins/onnxruntime/testdata"
DIGITS = ROOT / "examples/digits"

# What each datatype of the protocol has to carry: extremes, signs, what is not a number.
VALUES = {
    "BOOL": np.array([True, False, True, True]),
    "UINT8": np.array([0, 1, 200, 255], np.uint8),
    "UINT16": np.array([0, 1, 40000, 65535], np.uint16),
    "UINT32": np.array([0, 1, 3_000_000_000, 2**32 - 1], np.uint32),
    "UINT64": np.array([0, 1, 2**63, 2**64 - 1], np.uint64),
    "INT8": np.array([-128, -1, 0, 127], np.int8),
    "INT16": np.array([-2**15, -1, 0, 2**15 - 1], np.int16),
    "INT32": np.array([-2**31, -1, 0, 2**31 - 1], np.int32),
    "INT64": np.array([-2**63, -1, 0, 2**63 - 1], np.int64),
    "FP16": np.array([-65504, -0.0, 5.96e-8, np.inf], np.float16),
    "BF16": np.array([-3.3895314e38, -0.0, 1e-40, 1.5], ml_dtypes.bfloat16),
    "FP32": np.array([-3.4028235e38, -0.0, 1.1754944e-38, 0.1], np.float32),
    "FP64": np.array([-1.7976931348623157e308, -0.0, 5e-324, 0.1], np.float64),
    "BYTES": np.array([b"one", b"", "größe".encode(), b'a"b\\\n'], object),
}
JSON_TYPES = [name for name in VALUES if name not in ("FP16", "BF16")]


def identity(datatype):
    """The model that answers input x as output y, of any length."""
    return f"identity_{datatype.lower()}"


def digits():
    """The held-out images, and what they show."""
    images = np.frombuffer((DIGITS / "heldout.f32").read_bytes(), "<f4").reshape(-1, 64)
    labels = np.frombuffer((DIGITS / "heldout.labels").read_bytes(), np.uint8)
    return images, labels


class ClientTest(unittest.TestCase):
    """`cls.daemon` serves identity_TYPE for each datatype, scalar, two_outputs and digits."""

    build = ROOT / "build"
    options = ()  # of the daemon
    daemon = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.daemon = Daemon(cls.build, *cls.options)
        cls.addClassCleanup(cls._stop)
        cls.daemon.bring_onnx()
        for name in [*map(identity, VALUES), "scalar", "two_outputs"]:
            cls.daemon.register_model(name, TESTDATA / f"{name}.onnx")
        cls.daemon.register_model("digits", DIGITS / "model.onnx")

    @classmethod
    def _stop(cls):
        code = cls.daemon.stop()
        if code != 0:
            raise RuntimeError(f"mlosd ended with {code} when told to stop")

    def assert_same(self, expected, got):
        """Datatype, shape and every bit."""
        self.assertEqual(expected.shape, got.shape)
        if expected.dtype.kind == "O":
            self.assertEqual(expected.tolist(), [
                element if isinstance(element, bytes) else element.encode()
                for element in got.reshape(-1)])
            return
        self.assertEqual(expected.dtype, got.dtype)
        self.assertEqual(expected.tobytes(), got.tobytes())


def main():
    if "--build" in sys.argv:
        at = sys.argv.index("--build")
        ClientTest.build = pathlib.Path(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    unittest.main(verbosity=2)
