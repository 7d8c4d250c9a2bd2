#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Triton added to the protocol, through tritonclient over gRPC: configuration, statistics,
repository, logging, trace, classification, shared memory."""

import json

import numpy as np
import tritonclient.grpc as triton
import tritonclient.utils.shared_memory as shm

import fixture
from fixture import VALUES, identity
from triton_grpc_client import AioClient, SyncClient, TritonCalls, input_of

SIZE = 4096
ANSWER = 2048  # where the outputs go


class Calls(TritonCalls):
    """The tests; `self.client` is one of the two."""

    def classify(self, count=1, outputs=None):
        images, _ = fixture.digits()
        return self.client.infer("digits", [input_of(images[:count], "FP32", "image")],
                                 outputs=outputs)

    # ------------------------------------------------------------- configuration

    def test_configuration(self):
        for config in (self.client.get_model_config("digits").config,
                       self.client.get_model_config("digits", "1").config):
            self.assertEqual("digits", config.name)
            self.assertEqual("onnxruntime", config.backend)
            (image,) = config.input
            self.assertEqual("image", image.name)
            self.assertEqual(["label", "probabilities"], [o.name for o in config.output])
        as_json = self.client.get_model_config("digits", as_json=True)["config"]
        self.assertEqual("TYPE_FP32", as_json["input"][0]["data_type"])
        self.assert_refused("NOT_FOUND", "nothing", self.client.get_model_config, "nothing")

    # ------------------------------------------------------------- statistics

    def test_statistics(self):
        def counted(version=""):
            (found,) = self.client.get_inference_statistics("digits", version).model_stats
            return found
        self.classify()
        before = counted()
        for _ in range(3):
            self.classify()
        # Over HTTP it is the same counter.
        body = {"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 64],
                            "data": [0] * 64}]}
        status = self.daemon.call("POST", "/v2/models/digits/infer", json.dumps(body))[0]
        self.assertEqual(200, status)
        after = counted("1")
        self.assertEqual(4, after.inference_count - before.inference_count)
        for name in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
            grown = (getattr(after.inference_stats, name).count
                     - getattr(before.inference_stats, name).count)
            self.assertEqual(4, grown, name)
        self.assertGreater(after.inference_stats.compute_infer.ns, 0)
        self.assert_refused("INVALID_ARGUMENT", "nothing", self.client.get_inference_statistics,
                            "nothing")

    # ------------------------------------------------------------- repository

    def test_repository(self):
        model = identity("INT16")
        array = VALUES["INT16"]
        self.client.load_model(model)
        rows = {m.name: m for m in self.client.get_model_repository_index().models}
        self.assertEqual(("1", "READY"), (rows[model].version, rows[model].state))
        self.client.unload_model(model)
        rows = {m.name: m for m in self.client.get_model_repository_index().models}
        self.assertEqual("UNAVAILABLE", rows[model].state)
        self.assertFalse(self.client.is_model_ready(model))
        self.assert_refused("UNAVAILABLE", model, self.client.infer, model,
                            [input_of(array, "INT16")])
        self.client.load_model(model)
        self.assert_same(array, self.client.infer(model, [input_of(array, "INT16")]).as_numpy("y"))
        self.assert_refused("NOT_FOUND", "nothing", self.client.load_model, "nothing")
        self.assert_refused("NOT_FOUND", "nothing", self.client.unload_model, "nothing")

    # ------------------------------------------------------------- settings

    def test_log_settings(self):
        settings = self.client.get_log_settings().settings
        self.assertTrue(settings["log_error"].bool_param)
        try:
            changed = self.client.update_log_settings({"log_verbose_level": 1}).settings
            self.assertEqual(1, changed["log_verbose_level"].uint32_param)
            self.assertEqual(1, self.client.get_log_settings().settings[
                "log_verbose_level"].uint32_param)
        finally:
            self.client.update_log_settings({"log_verbose_level": 0})
        self.assert_refused("UNIMPLEMENTED", "log_file", self.client.update_log_settings,
                            {"log_file": "/tmp/x"})

    def test_trace_settings(self):
        shown = self.client.get_trace_settings().settings
        self.assertEqual(["OFF"], list(shown["trace_level"].value))
        model = identity("FP32")
        try:
            changed = self.client.update_trace_settings(
                model, {"trace_rate": "7", "trace_level": ["TIMESTAMPS"]}).settings
            self.assertEqual(["7"], list(changed["trace_rate"].value))
            self.assertEqual(["TIMESTAMPS"], list(changed["trace_level"].value))
        finally:
            cleared = self.client.update_trace_settings(
                model, {"trace_rate": None, "trace_level": None}).settings
        self.assertEqual(["OFF"], list(cleared["trace_level"].value))
        self.assert_refused("INVALID_ARGUMENT", "trace_rate", self.client.update_trace_settings,
                            None, {"trace_rate": "often"})

    # ------------------------------------------------------------- classification

    def test_classification(self):
        _, labels = fixture.digits()
        result = self.classify(1, [triton.InferRequestedOutput("probabilities", class_count=3)])
        rows = result.as_numpy("probabilities")
        self.assertEqual(3, rows.size)
        self.assertEqual(labels[0], int(rows.reshape(-1)[0].decode().split(":")[1]))
        self.assert_refused("INVALID_ARGUMENT", "y", self.client.infer, identity("FP16"),
                            [input_of(VALUES["FP16"], "FP16")],
                            outputs=[triton.InferRequestedOutput("y", class_count=2)])

    # ------------------------------------------------------------- shared memory

    def region(self, name="tensors", size=SIZE):
        """A region of this test's own, registered."""
        key = f"/mlos-{type(self).__name__}-{self.daemon.pid}-{name}"
        handle = shm.create_shared_memory_region(name, key, size)
        self.addCleanup(shm.destroy_shared_memory_region, handle)
        self.client.register_system_shared_memory(name, key, size)
        self.addCleanup(self.client.unregister_system_shared_memory, name)
        return handle, key

    def put(self, handle, array, offset):
        """Writes a tensor; the bytes that it takes."""
        if array.dtype.kind == "O":
            packed = b"".join(len(e).to_bytes(4, "little") + e for e in array)
            shm.set_shared_memory_region(handle, [np.frombuffer(packed, np.uint8)], offset)
            return len(packed)
        shm.set_shared_memory_region(handle, [array], offset)
        return array.nbytes

    def test_shared_memory_of_every_datatype(self):
        handle, _ = self.region()
        for datatype, array in VALUES.items():
            with self.subTest(datatype):
                tensor = triton.InferInput("x", list(array.shape), datatype)
                tensor.set_shared_memory("tensors", self.put(handle, array, 64), 64)
                output = triton.InferRequestedOutput("y")
                output.set_shared_memory("tensors", SIZE - ANSWER, ANSWER)
                response = self.client.infer(identity(datatype), [tensor],
                                             outputs=[output]).get_response()
                self.assertEqual([b""], list(response.raw_output_contents))
                self.assertEqual((datatype, list(array.shape)),
                                 (response.outputs[0].datatype, list(response.outputs[0].shape)))
                got = shm.get_contents_as_numpy(handle, array.dtype, list(array.shape), ANSWER)
                self.assert_same(array, got)

    def test_regions(self):
        _, key = self.region()
        regions = self.client.get_system_shared_memory_status("tensors").regions
        self.assertEqual((key, 0, SIZE), (regions["tensors"].key, regions["tensors"].offset,
                                          regions["tensors"].byte_size))
        self.assert_refused("ALREADY_EXISTS", "tensors",
                            self.client.register_system_shared_memory, "tensors", key, SIZE)
        self.assert_refused("INVALID_ARGUMENT", "4096",
                            self.client.register_system_shared_memory, "large", key, SIZE + 1)
        tensor = triton.InferInput("x", [4], "INT32")
        tensor.set_shared_memory("nothing", 16)
        self.assert_refused("NOT_FOUND", "nothing", self.client.infer, identity("INT32"), [tensor])
        small = triton.InferRequestedOutput("y")
        small.set_shared_memory("tensors", 8)
        self.assert_refused("INTERNAL", "16", self.client.infer, identity("INT32"),
                            [input_of(VALUES["INT32"], "INT32")], outputs=[small])
        self.client.unregister_system_shared_memory()
        self.assertEqual({}, dict(self.client.get_system_shared_memory_status().regions))

    def test_there_is_no_cuda(self):
        self.assertEqual({}, dict(self.client.get_cuda_shared_memory_status().regions))
        self.client.unregister_cuda_shared_memory()
        self.assert_refused("INVALID_ARGUMENT", "", self.client.register_cuda_shared_memory, "gpu",
                            b"x" * 64, 0, 64)


class SyncTest(Calls, SyncClient, fixture.ClientTest):
    options = ("--allow-client-shm",)


class AioTest(Calls, AioClient, fixture.ClientTest):
    options = ("--allow-client-shm",)


if __name__ == "__main__":
    fixture.main()
