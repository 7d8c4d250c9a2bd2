#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A repository as Triton's users have it, served as it is, through tritonclient over HTTP; loads by
name."""

import pathlib
import shutil
import tempfile

import numpy as np
import tritonclient.http as triton

import fixture
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


class Calls(TritonCalls):
    """The tests; `self.client` is one of the two."""

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
        return [input_of(np.ascontiguousarray(images[:count]), "FP32", "image")]

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
        self.assertEqual([("1", "UNAVAILABLE", "unloaded"), ("3", "READY", None)],
                         self.index("named"))

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

    # ------------------------------------------------------------- loading and unloading

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


class SyncTest(Calls, SyncClient, fixture.ClientTest):
    pass


class AioTest(Calls, AioClient, fixture.ClientTest):
    pass


if __name__ == "__main__":
    fixture.main()
