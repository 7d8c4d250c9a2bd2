#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tritonclient over HTTP, the synchronous and the asyncio client, against the real daemon."""

import asyncio
import urllib.request

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio

import fixture
from fixture import JSON_TYPES, VALUES, identity
from triton_client import AioClient, SyncClient, TritonCalls, input_of


class Calls(TritonCalls):
    """The tests; `self.client` is one of the two."""

    def identity(self, datatype, array, binary_in=True, outputs=None, **named):
        inputs = [input_of(array, datatype, binary=binary_in)]
        return self.client.infer(identity(datatype), inputs, outputs=outputs, **named)

    # ------------------------------------------------------------- state and description

    def test_health(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.client.infer("digits", [input_of(fixture.digits()[0][:1], "FP32", "image")])
        self.assertTrue(self.client.is_model_ready("digits"))
        self.assertTrue(self.client.is_model_ready("digits", "1"))
        self.assertFalse(self.client.is_model_ready("digits", "7"))
        self.assertFalse(self.client.is_model_ready("nothing"))

    def test_metadata(self):
        server = self.client.get_server_metadata()
        self.assertIn("binary_tensor_data", server["extensions"])
        self.assertTrue(server["name"] and server["version"])
        for model in (self.client.get_model_metadata("digits"),
                      self.client.get_model_metadata("digits", "1")):
            self.assertEqual("digits", model["name"])
            self.assertEqual(["1"], model["versions"])
            self.assertEqual([{"name": "image", "datatype": "FP32", "shape": [-1, 64]}],
                             model["inputs"])
            self.assertEqual(["label", "probabilities"], [o["name"] for o in model["outputs"]])
        self.assert_refused(404, "nothing", self.client.get_model_metadata, "nothing")

    # ------------------------------------------------------------- tensors

    def test_every_datatype_as_binary(self):
        for datatype, array in VALUES.items():
            with self.subTest(datatype):
                self.assert_same(array, self.identity(datatype, array).as_numpy("y"))

    def test_every_datatype_as_json(self):
        for datatype in JSON_TYPES:
            with self.subTest(datatype):
                array = VALUES[datatype]
                outputs = [triton.InferRequestedOutput("y", binary_data=False)]
                result = self.identity(datatype, array, False, outputs)
                self.assertNotIn("parameters", result.get_output("y"))
                self.assert_same(array, result.as_numpy("y"))

    def test_one_side_binary_the_other_json(self):
        for datatype in JSON_TYPES:
            array = VALUES[datatype]
            for binary_in in (True, False):
                with self.subTest(datatype, binary_in=binary_in):
                    outputs = [triton.InferRequestedOutput("y", binary_data=not binary_in)]
                    result = self.identity(datatype, array, binary_in, outputs)
                    self.assert_same(array, result.as_numpy("y"))

    def test_halves_have_no_json_form(self):
        for datatype in ("FP16", "BF16"):
            outputs = [triton.InferRequestedOutput("y", binary_data=False)]
            self.assert_refused(400, datatype, self.identity, datatype, VALUES[datatype], True,
                                outputs)

    def test_no_elements(self):
        for datatype, array in VALUES.items():
            none = array[:0]
            with self.subTest(datatype):
                self.assert_same(none, self.identity(datatype, none).as_numpy("y"))
            if datatype in JSON_TYPES:
                outputs = [triton.InferRequestedOutput("y", binary_data=False)]
                got = self.identity(datatype, none, False, outputs).as_numpy("y")
                self.assertEqual((0,), got.shape)

    def test_a_scalar(self):
        result = self.client.infer("scalar", [input_of(np.array(41, np.float32), "FP32")])
        self.assertEqual((), result.as_numpy("y").shape)
        self.assertEqual(42, result.as_numpy("y"))

    def test_a_megabyte(self):
        array = np.random.default_rng(1).random(300_000, np.float32)
        self.assert_same(array, self.identity("FP32", array).as_numpy("y"))
        outputs = [triton.InferRequestedOutput("y", binary_data=False)]
        self.assert_same(array, self.identity("FP32", array, False, outputs).as_numpy("y"))

    def test_digits(self):
        images, labels = fixture.digits()
        result = self.client.infer("digits", [input_of(images, "FP32", "image")])
        self.assertGreater((result.as_numpy("label") == labels).mean(), 0.97)
        self.assertEqual((len(labels), 10), result.as_numpy("probabilities").shape)

    # ------------------------------------------------------------- requests

    def test_outputs_that_are_asked_for(self):
        inputs = [input_of(np.array([5], np.float32), "FP32", "a"),
                  input_of(np.array([2], np.float32), "FP32", "b", binary=False)]
        wanted = [triton.InferRequestedOutput("difference", binary_data=False),
                  triton.InferRequestedOutput("sum")]
        result = self.client.infer("two_outputs", inputs, outputs=wanted)
        self.assertEqual(["difference", "sum"],
                         [output["name"] for output in result.get_response()["outputs"]])
        self.assertEqual([3], result.as_numpy("difference"))
        self.assertEqual([7], result.as_numpy("sum"))
        only = self.client.infer("two_outputs", inputs, outputs=wanted[:1])
        self.assertIsNone(only.as_numpy("sum"))

    def test_classification(self):
        images, labels = fixture.digits()
        inputs = [input_of(images[:1], "FP32", "image")]
        (probabilities,) = self.client.infer("digits", inputs).as_numpy("probabilities")
        best = np.argsort(-probabilities, kind="stable")
        for count, found in ((1, 1), (3, 3), (99, 10)):
            for binary in (True, False):
                with self.subTest(count=count, binary=binary):
                    wanted = [triton.InferRequestedOutput("probabilities", binary, count)]
                    result = self.client.infer("digits", inputs, outputs=wanted)
                    self.assertEqual("BYTES", result.get_output("probabilities")["datatype"])
                    got = [text.decode() if binary else text
                           for text in result.as_numpy("probabilities").tolist()]
                    self.assertEqual([f"{probabilities[i]:.6f}:{i}" for i in best[:found]], got)
        self.assertEqual(labels[0], best[0])

    def test_id_and_version(self):
        response = self.identity("FP32", VALUES["FP32"], request_id="a/b \"c\"",
                                 model_version="1").get_response()
        self.assertEqual('a/b "c"', response["id"])
        self.assertEqual("1", response["model_version"])
        self.assertEqual("identity_fp32", response["model_name"])
        self.assertNotIn("id", self.identity("FP32", VALUES["FP32"]).get_response())

    def test_parameters(self):
        for named in ({"priority": 1}, {"priority": 2**64 - 1}, {"timeout": 10_000_000},
                      {"parameters": {"text": "x", "number": 1, "fraction": 0.5, "flag": True}}):
            with self.subTest(**named):
                array = VALUES["INT32"]
                self.assert_same(array, self.identity("INT32", array, **named).as_numpy("y"))
        # What is not offered is refused, not ignored: results would be wrong.
        self.assert_refused(400, "sequence", self.identity, "INT32", VALUES["INT32"],
                            sequence_id=7, sequence_start=True, sequence_end=True)

    def test_headers_and_queries(self):
        result = self.identity("INT32", VALUES["INT32"], headers={"X-Custom": "1", "traceparent":
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
                               query_params={"a": "b c", "list": [1, 2]})
        self.assert_same(VALUES["INT32"], result.as_numpy("y"))
        self.assertTrue(self.client.is_server_live(headers={"X-Custom": "1"},
                                                   query_params={"a": 1}))

    def test_compression(self):
        """Each way on its own and both at once, of a request that is mostly zeros."""
        array = np.zeros(200_000, np.float32)
        array[::1000] = 0.1
        for binary in (True, False):
            outputs = [triton.InferRequestedOutput("y", binary_data=binary)]
            for request in (None, "gzip", "deflate"):
                for response in (None, "gzip", "deflate"):
                    with self.subTest(binary=binary, request=request, response=response):
                        result = self.identity(
                            "FP32", array, binary, outputs, request_compression_algorithm=request,
                            response_compression_algorithm=response)
                        self.assert_same(array, result.as_numpy("y"))

    def test_compressed_answers_are_smaller(self):
        """What the client does not show: the header, and the size on the wire."""
        body, length = self.client.generate_request_body([input_of(np.zeros(100_000, np.int32),
                                                                   "INT32")])
        for coding in ("gzip", "deflate"):
            request = urllib.request.Request(
                "http://" + self.daemon.address + "/v2/models/identity_int32/infer", body,
                {"Inference-Header-Content-Length": str(length), "Accept-Encoding": coding})
            with urllib.request.urlopen(request) as response:
                self.assertEqual(coding, response.headers["Content-Encoding"])
                self.assertLess(len(response.read()), 10_000)

    def test_errors(self):
        array = VALUES["FP32"]
        self.assert_refused(404, "nothing", self.client.infer, "nothing", [input_of(array, "FP32")])
        self.assert_refused(404, "9", self.identity, "FP32", array, model_version="9")
        self.assert_refused(400, "'z'", self.client.infer, "identity_fp32",
                            [input_of(array, "FP32", "z")])
        self.assert_refused(400, "FP64", self.client.infer, "identity_fp32",
                            [input_of(VALUES["FP64"], "FP64")])
        self.assert_refused(400, "'q'", self.identity, "FP32", array, True,
                            [triton.InferRequestedOutput("q")])
        # The connection goes on.
        self.assert_same(array, self.identity("FP32", array).as_numpy("y"))

    def test_bodies_made_and_read_apart(self):
        array = VALUES["INT64"]
        body, length = self.client.generate_request_body([input_of(array, "INT64")])
        request = urllib.request.Request(
            "http://" + self.daemon.address + "/v2/models/identity_int64/infer", body,
            {"Inference-Header-Content-Length": str(length)})
        with urllib.request.urlopen(request) as response:
            result = self.client.parse_response_body(
                response.read(),
                header_length=int(response.headers["Inference-Header-Content-Length"]))
        self.assert_same(array, result.as_numpy("y"))


class SyncTest(Calls, SyncClient, fixture.ClientTest):
    def test_many_at_once(self):
        client = triton.InferenceServerClient(self.daemon.address, concurrency=8)
        self.addCleanup(client.close)
        arrays = [np.full(100 + i, i, np.int32) for i in range(200)]
        calls = [client.async_infer("identity_int32", [input_of(array, "INT32")],
                                    request_id=str(i)) for i, array in enumerate(arrays)]
        for i, call in enumerate(calls):
            result = call.get_result(timeout=60)
            self.assertEqual(str(i), result.get_response()["id"])
            self.assert_same(arrays[i], result.as_numpy("y"))


class AioTest(Calls, AioClient, fixture.ClientTest):
    def test_many_at_once(self):
        async def one(client, i):
            array = np.full(100 + i, i, np.int32)
            result = await client.infer("identity_int32", [input_of(array, "INT32")],
                                        request_id=str(i))
            self.assertEqual(str(i), result.get_response()["id"])
            self.assert_same(array, result.as_numpy("y"))

        async def all_of_them():
            async with triton_aio.InferenceServerClient(self.daemon.address, conn_limit=8) as client:
                await asyncio.gather(*(one(client, i) for i in range(200)))

        asyncio.run(all_of_them())


if __name__ == "__main__":
    fixture.main()
