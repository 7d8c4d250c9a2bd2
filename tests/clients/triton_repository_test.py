#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A repository as Triton's users have it, served as it is, through tritonclient over HTTP; loads by
name, with a configuration and with files. triton_grpc_repository_test.py has the loads, too."""

import json
import pathlib
import shutil
import tempfile

import numpy as np
import tritonclient.http as triton

import fixture
from daemon import wait_until
from triton_client import AioClient, SyncClient, TritonCalls, input_of

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
CONFIG = """\
name: "named"
backend: "onnxruntime"
max_batch_size: 8
input { name: "image" data_type: TYPE_FP32 dims: [ 64 ] }
output {
  name: "probabilities" data_type: TYPE_FP32 dims: [ 10 ] label_filename: "names.txt"
}
"""


def write_repository(root):
    """plain: a model and nothing else; named: with a configuration, labels and two versions."""
    for model, version in (("plain", "1"), ("named", "1"), ("named", "3")):
        place = root / model / version
        place.mkdir(parents=True)
        shutil.copy(fixture.DIGITS / "model.onnx", place)
    (root / "named/config.pbtxt").write_text(CONFIG)
    (root / "named/names.txt").write_text("\n".join(NAMES) + "\n")


class Loads:
    """Loading and unloading, over either protocol; `self.client` is one of its two clients."""

    triton = None  # their module
    wrong_state = 400  # what a model is refused with that is no repository's

    @classmethod
    def setUpClass(cls):
        root = tempfile.mkdtemp(prefix="mlos-repository-")
        cls.addClassCleanup(shutil.rmtree, root)
        write_repository(pathlib.Path(root))
        cls.options = ("--model-repository", root, "--plugin-dir",
                       str(pathlib.Path(cls.build).resolve() / "plugins/onnxruntime"),
                       "--model-control-mode", "explicit", "--load-model", "*")
        super().setUpClass()

    def images(self, count=2):
        images, _ = fixture.digits()
        return [self.input_of(np.ascontiguousarray(images[:count]), "FP32", "image")]

    def await_index(self, name, expected):
        """What is replaced leaves when its last request is answered, soon after the answer."""
        wait_until(lambda: self.index(name) == expected, 20, f"{expected} of {self.index(name)}")

    def test_unload_and_load(self):
        self.client.unload_model("plain")
        self.assertEqual([("1", "UNAVAILABLE", "unloaded")], self.index("plain"))
        self.assertFalse(self.client.is_model_ready("plain"))
        self.assert_refused(503, "unloaded", self.client.infer, "plain", self.images())
        self.client.load_model("plain")
        self.assertEqual([("1", "READY", None)], self.index("plain"))
        self.client.infer("plain", self.images())
        self.assert_refused(404, "nothing", self.client.load_model, "nothing")
        self.assert_refused(404, "nothing", self.client.unload_model, "nothing")

    def test_a_load_with_a_configuration(self):
        config = self.config("named")
        config["max_batch_size"] = 4
        self.client.load_model("named", config=json.dumps(config))
        self.assertEqual(4, self.config("named")["max_batch_size"])
        self.client.infer("named", self.images(4))
        self.assert_refused(400, "4", self.client.infer, "named", self.images(5))
        # What is refused leaves what serves.
        for bad in ("{", "[]", '{"max_batch": 1}', '{"name": "other"}', '{"backend": "none"}'):
            with self.subTest(bad):
                self.assert_refused(400, "", self.client.load_model, "named", config=bad)
        self.assert_refused(503, "image", self.client.load_model, "named",
                            config='{"input": [{"name": "image", "dims": [65]}]}')
        self.assertEqual(4, self.config("named")["max_batch_size"])
        self.client.load_model("named")
        self.client.infer("named", self.images(8))
        self.assert_refused(404, "nothing", self.client.load_model, "nothing", config="{}")

    def test_a_load_with_files(self):
        model = (fixture.TESTDATA / "identity_fp32.onnx").read_bytes()
        files = {"file:7/model.onnx": model, "file:words.txt": b"cat\ndog\n"}
        config = json.dumps({"output": [{"name": "y", "label_filename": "words.txt"}]})
        numbers = np.array([1, 3], np.float32)
        self.client.load_model("plain", config=config, files=files)
        self.await_index("plain", [("7", "READY", None)])
        result = self.client.infer("plain", [self.input_of(numbers, "FP32")])
        self.assert_same(numbers, result.as_numpy("y"))
        wanted = [self.triton.InferRequestedOutput("y", class_count=1)]
        best = self.client.infer("plain", [self.input_of(numbers, "FP32")], outputs=wanted)
        self.assertEqual([b"3.000000:1:dog"], best.as_numpy("y").tolist())
        self.client.load_model("plain")
        self.await_index("plain", [("1", "READY", None)])
        self.client.infer("plain", self.images())

    def test_a_model_that_is_nothing_but_files(self):
        model = (fixture.TESTDATA / "identity_int32.onnx").read_bytes()
        self.client.load_model("pushed", config="{}", files={"file:1/model.onnx": model})
        numbers = np.arange(5, dtype=np.int32)
        result = self.client.infer("pushed", [self.input_of(numbers, "INT32")])
        self.assert_same(numbers, result.as_numpy("y"))
        self.client.unload_model("pushed")
        self.assertEqual([("1", "UNAVAILABLE", "unloaded")], self.index("pushed"))
        self.assert_refused(404, "pushed", self.client.load_model, "pushed")

    def test_files_that_do_not_serve(self):
        before = self.index("named")
        for status, files in ((400, {"file:1/notes.txt": b"x"}),
                              (400, {"file:../1/model.onnx": b"x"}),
                              (400, {"file:/etc/passwd": b"x"}),
                              (400, {"file:model.onnx": b"x"}),
                              (400, {"1/model.onnx": b"x"}),
                              (503, {"file:3/model.onnx": b"this is no model"}),
                              (503, {"file:9/model.onnx": b"this is no model"})):
            with self.subTest(str(files)):
                self.assert_refused(status, "", self.client.load_model, "named", config="{}",
                                    files=files)
                self.await_index("named", before)
        self.assert_refused(400, "config", self.client.load_model, "named",
                            files={"file:1/model.onnx": b"x"})
        self.client.infer("named", self.images())

    def test_a_registered_model_takes_neither(self):
        self.assert_refused(self.wrong_state, "registered", self.client.load_model, "digits",
                            config="{}")


class Calls(Loads, TritonCalls):
    """The tests; `self.client` is one of the two."""

    triton = triton
    input_of = staticmethod(input_of)

    def config(self, name):
        return self.client.get_model_config(name)

    def index(self, name):
        """Version, state and reason of each version of a model."""
        return [(model.get("version"), model["state"], model.get("reason"))
                for model in self.client.get_model_repository_index() if model["name"] == name]

    # ------------------------------------------------------------- as it is

    def test_a_model_and_nothing_else(self):
        _, labels = fixture.digits()
        result = self.client.infer("plain", self.images())
        self.assertEqual(labels[:2].tolist(), result.as_numpy("label").tolist())
        self.assertEqual([-1, 64], self.client.get_model_metadata("plain")["inputs"][0]["shape"])

    def test_the_highest_version_serves(self):
        answer = self.client.infer("named", self.images()).get_response()
        self.assertEqual("3", answer["model_version"])
        self.assertEqual(["3"], self.client.get_model_metadata("named")["versions"])
        self.assertFalse(self.client.is_model_ready("named", "1"))
        first, third = self.index("named")
        self.assertEqual(("1", "UNAVAILABLE"), first[:2])
        self.assertIn("version policy", first[2])
        self.assertEqual(("3", "READY", None), third)

    def test_classes_have_names(self):
        _, labels = fixture.digits()
        wanted = [triton.InferRequestedOutput("probabilities", class_count=2)]
        result = self.client.infer("named", self.images(), outputs=wanted).as_numpy("probabilities")
        self.assertEqual((2, 2), result.shape)  # the model batches: a row for each image
        for row, label in zip(result, labels):
            _, index, name = row[0].decode().split(":")
            self.assertEqual((str(label), NAMES[label]), (index, name))

    def test_a_batch_that_is_too_large(self):
        self.assert_refused(400, "8", self.client.infer, "named", self.images(9))


class SyncTest(Calls, SyncClient, fixture.ClientTest):
    pass


class AioTest(Calls, AioClient, fixture.ClientTest):
    pass


if __name__ == "__main__":
    fixture.main()
