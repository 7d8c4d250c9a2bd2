#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tritonclient over gRPC, the synchronous and the asyncio client, against the real daemon."""

import threading

import grpc
import ml_dtypes
import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

import fixture
from fixture import VALUES, identity
from oip_grpc import LISTS
from triton_grpc_client import ANSWER_LIMIT_S, AioClient, SyncClient, TritonCalls, input_of


def as_numpy(result, datatype, name="y"):
    got = result.as_numpy(name)
    # Of BF16 the client makes FP32.
    return got.astype(ml_dtypes.bfloat16) if datatype == "BF16" and got.dtype == np.float32 else got


class Calls(TritonCalls):
    """Every test of a client; `self.client` is one of the two."""

    def identity(self, datatype, array, outputs=None, **named):
        return self.client.infer(identity(datatype), [input_of(array, datatype)], outputs=outputs,
                                 **named)

    def request(self, datatype, array, **named):
        return {"model_name": identity(datatype), "inputs": [input_of(array, datatype)], **named}

    # ------------------------------------------------------------- state and description

    def test_health(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.client.infer("digits", [input_of(fixture.digits()[0][:1], "FP32", "image")])
        self.assertTrue(self.client.is_model_ready("digits"))
        self.assertTrue(self.client.is_model_ready("digits", "1"))
        self.assert_refused("NOT_FOUND", "nothing", self.client.is_model_ready, "nothing")

    def test_metadata(self):
        server = self.client.get_server_metadata()
        self.assertTrue(server.name and server.version)
        for model in (self.client.get_model_metadata("digits"),
                      self.client.get_model_metadata("digits", "1")):
            self.assertEqual("digits", model.name)
            self.assertEqual(["1"], list(model.versions))
            self.assertEqual([("image", "FP32", [-1, 64])],
                             [(i.name, i.datatype, list(i.shape)) for i in model.inputs])
            self.assertEqual(["label", "probabilities"], [o.name for o in model.outputs])
        self.assert_refused("NOT_FOUND", "nothing", self.client.get_model_metadata, "nothing")

    # ------------------------------------------------------------- tensors

    def test_every_datatype(self):
        for datatype, array in VALUES.items():
            with self.subTest(datatype):
                self.assert_same(array, as_numpy(self.identity(datatype, array), datatype))

    def test_no_elements(self):
        for datatype, array in VALUES.items():
            with self.subTest(datatype):
                response = self.identity(datatype, array[:0]).get_response()
                self.assertEqual([0], list(response.outputs[0].shape))
                self.assertEqual([b""], list(response.raw_output_contents))

    def test_a_scalar(self):
        result = self.client.infer("scalar", [input_of(np.array(41, np.float32), "FP32")])
        self.assertEqual((), result.as_numpy("y").shape)
        self.assertEqual(42, result.as_numpy("y"))

    def test_large_tensors(self):
        for count in (300_000, 4_000_000):
            array = np.random.default_rng(1).random(count, np.float32)
            self.assert_same(array, self.identity("FP32", array).as_numpy("y"))

    def test_many_strings(self):
        array = np.array([b"x" * (i % 300) for i in range(20_000)], object)
        self.assert_same(array, self.identity("BYTES", array).as_numpy("y"))

    def test_digits(self):
        images, labels = fixture.digits()
        result = self.client.infer("digits", [input_of(images, "FP32", "image")])
        self.assertGreater((result.as_numpy("label") == labels).mean(), 0.97)
        self.assertEqual((len(labels), 10), result.as_numpy("probabilities").shape)

    def test_compression(self):
        array = np.zeros(100_000, np.float32)
        for algorithm in ("gzip", "deflate"):
            with self.subTest(algorithm):
                result = self.identity("FP32", array, compression_algorithm=algorithm)
                self.assert_same(array, result.as_numpy("y"))

    # ------------------------------------------------------------- requests

    def test_outputs_that_are_asked_for(self):
        inputs = [input_of(np.array([5], np.float32), "FP32", "a"),
                  input_of(np.array([2], np.float32), "FP32", "b")]
        wanted = [triton.InferRequestedOutput("difference"), triton.InferRequestedOutput("sum")]
        result = self.client.infer("two_outputs", inputs, outputs=wanted)
        self.assertEqual(["difference", "sum"], [o.name for o in result.get_response().outputs])
        self.assertEqual([3], result.as_numpy("difference"))
        self.assertEqual([7], result.as_numpy("sum"))
        # The order of inputs is the client's, too.
        result = self.client.infer("two_outputs", inputs[::-1], outputs=wanted[:1])
        self.assertEqual([3], result.as_numpy("difference"))
        self.assertIsNone(result.as_numpy("sum"))

    def test_id_and_version(self):
        response = self.identity("FP32", VALUES["FP32"], request_id="a/b \"c\"",
                                 model_version="1").get_response()
        self.assertEqual('a/b "c"', response.id)
        self.assertEqual("1", response.model_version)
        self.assertEqual("identity_fp32", response.model_name)

    def test_parameters(self):
        for named in ({"priority": 1}, {"priority": 2**64 - 1}, {"timeout": 10_000_000},
                      {"parameters": {"text": "x", "number": 1, "fraction": 0.5, "flag": True}}):
            with self.subTest(**named):
                array = VALUES["INT32"]
                self.assert_same(array, self.identity("INT32", array, **named).as_numpy("y"))
        # What is not offered is refused, not ignored: results would be wrong.
        with self.assertRaises(InferenceServerException):
            self.identity("INT32", VALUES["INT32"], sequence_id=7, sequence_start=True,
                          sequence_end=True)

    def test_headers(self):
        result = self.identity("INT32", VALUES["INT32"], headers={"x-custom": "1"})
        self.assert_same(VALUES["INT32"], result.as_numpy("y"))

    def test_errors(self):
        array = VALUES["FP32"]
        self.assert_refused("NOT_FOUND", "nothing", self.client.infer, "nothing",
                            [input_of(array, "FP32")])
        self.assert_refused("NOT_FOUND", "9", self.identity, "FP32", array, model_version="9")
        self.assert_refused("INVALID_ARGUMENT", "'z'", self.client.infer, "identity_fp32",
                            [input_of(array, "FP32", "z")])
        self.assert_refused("INVALID_ARGUMENT", "FP64", self.client.infer, "identity_fp32",
                            [input_of(VALUES["FP64"], "FP64")])
        self.assert_refused("INVALID_ARGUMENT", "'q'", self.identity, "FP32", array,
                            [triton.InferRequestedOutput("q")])
        # The connection goes on.
        self.assert_same(array, self.identity("FP32", array).as_numpy("y"))

    def test_a_deadline(self):
        result = self.identity("INT32", VALUES["INT32"], client_timeout=10)
        self.assert_same(VALUES["INT32"], result.as_numpy("y"))

    # ------------------------------------------------------------- streams

    def test_a_stream_answers_in_order(self):
        arrays = [np.arange(i + 1, dtype=np.int32) for i in range(100)]
        answers = self.client.stream(
            [self.request("INT32", a, request_id=str(i)) for i, a in enumerate(arrays)])
        self.assertEqual(len(arrays), len(answers))
        for i, (array, answer) in enumerate(zip(arrays, answers)):
            self.assert_same(array, answer.as_numpy("y"))
            response = answer.get_response()
            self.assertEqual(str(i), response.id)
            self.assertTrue(response.parameters["triton_final_response"].bool_param)

    def test_a_stream_goes_on_after_an_error(self):
        array = VALUES["INT32"]
        bad = self.request("INT32", array)
        bad["model_name"] = "nothing"
        answers = self.client.stream([self.request("INT32", array), bad,
                                      self.request("INT32", array, enable_empty_final_response=True)
                                      ])
        self.assert_same(array, answers[0].as_numpy("y"))
        self.assertIsInstance(answers[1], InferenceServerException)
        self.assertIn("nothing", answers[1].message())
        self.assert_same(array, answers[2].as_numpy("y"))


class TritonGrpcTest(Calls, SyncClient, fixture.ClientTest):

    def test_many_at_once(self):
        done = threading.Semaphore(0)
        results = {}

        def take(i, result, error):
            results[i] = error or result
            done.release()

        for i in range(200):
            array = np.full(1000, i, np.float32)
            self.client.async_infer(identity("FP32"), [input_of(array, "FP32")],
                                    callback=lambda result, error, i=i: take(i, result, error))
        for _ in range(200):
            self.assertTrue(done.acquire(timeout=ANSWER_LIMIT_S))
        for i, result in results.items():
            self.assert_same(np.full(1000, i, np.float32), result.as_numpy("y"))


class TritonGrpcAioTest(Calls, AioClient, fixture.ClientTest):
    pass


class WireTest(fixture.ClientTest):
    """What tritonclient does not send, with the messages that it brings."""

    def setUp(self):
        self.channel = grpc.insecure_channel(f"unix:{self.daemon.grpc_socket_path}")
        self.addCleanup(self.channel.close)

    def call(self, request, method="ModelInfer", answer=service_pb2.ModelInferResponse, **named):
        path = "/inference.GRPCInferenceService/" + method
        return self.channel.unary_unary(path, type(request).SerializeToString,
                                        answer.FromString)(request, timeout=10, **named)

    def assert_refused(self, code, text, request, *args):
        with self.assertRaises(grpc.RpcError) as caught:
            self.call(request, *args)
        self.assertEqual(code, caught.exception.code())
        self.assertIn(text, caught.exception.details())

    @staticmethod
    def infer_request(datatype, array, raw=None):
        request = service_pb2.ModelInferRequest(model_name=identity(datatype))
        tensor = request.inputs.add(name="x", datatype=datatype, shape=array.shape)
        if raw is None:
            getattr(tensor.contents, LISTS[datatype]).extend(array.tolist())
        else:
            request.raw_input_contents.extend(raw)
        return request

    def test_typed_contents(self):
        for datatype in LISTS:
            with self.subTest(datatype):
                array = VALUES[datatype]
                response = self.call(self.infer_request(datatype, array))
                self.assertEqual(1, len(response.raw_output_contents))
                if datatype != "BYTES":
                    self.assertEqual(array.tobytes(), response.raw_output_contents[0])

    def test_wrong_contents(self):
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        ints = np.arange(3, dtype=np.int32)
        raw = ints.tobytes()
        for text, request in (
                ("raw_input_contents", self.infer_request("INT32", ints, [raw, raw])),
                ("12", self.infer_request("INT32", ints, [raw[:-1]])),
                ("12", self.infer_request("INT32", ints, [raw + b"x"])),
                ("element", self.infer_request("BYTES", ints, [b"\xff\xff\xff\xffabc"])),
                ("BOOL", self.infer_request("BOOL", ints, [b"\0\1\2"])),
                ("FP16", self.infer_request("FP16", ints, [b"123"]))):
            self.assert_refused(invalid, text, request)
        both = self.infer_request("INT32", ints)
        both.raw_input_contents.append(raw)
        self.assert_refused(invalid, "contents", both)
        few = self.infer_request("INT32", ints)
        few.inputs[0].shape[0] = 4
        self.assert_refused(invalid, "4", few)
        narrow = service_pb2.ModelInferRequest(model_name=identity("INT8"))
        narrow.inputs.add(name="x", datatype="INT8", shape=[1]).contents.int_contents.append(200)
        self.assert_refused(invalid, "200", narrow)
        other = service_pb2.ModelInferRequest(model_name=identity("INT8"))
        other.inputs.add(name="x", datatype="INT8", shape=[1]).contents.fp32_contents.append(1)
        self.assert_refused(invalid, "fp32_contents", other)
        huge = self.infer_request("INT32", ints, [raw])
        huge.inputs[0].shape[:] = [2**32, 2**32]
        self.assert_refused(invalid, "shape", huge)

    def test_no_such_method(self):
        self.assert_refused(grpc.StatusCode.UNIMPLEMENTED, "NoSuchThing",
                            service_pb2.ServerLiveRequest(), "NoSuchThing")

    def test_a_message_that_is_none(self):
        send = self.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        cut = self.infer_request("INT32", VALUES["INT32"], [b"abc"]).SerializeToString()[:-1]
        for body in (b"\xff" * 20, cut, b"\x0a\x02\xff\xfe", b"\x0b\x0c"):
            with self.assertRaises(grpc.RpcError) as caught:
                send(body, timeout=10)
            self.assertEqual(grpc.StatusCode.INVALID_ARGUMENT, caught.exception.code())

    def test_a_stream_can_be_strict(self):
        stream = self.channel.stream_stream(
            "/inference.GRPCInferenceService/ModelStreamInfer",
            service_pb2.ModelInferRequest.SerializeToString,
            service_pb2.ModelStreamInferResponse.FromString)
        request = service_pb2.ModelInferRequest(model_name="nothing")
        answers = list(stream(iter([request]), timeout=10))
        self.assertIn("nothing", answers[0].error_message)
        with self.assertRaises(grpc.RpcError) as caught:
            list(stream(iter([request]), timeout=10, metadata=[("triton_grpc_error", "true")]))
        self.assertEqual(grpc.StatusCode.NOT_FOUND, caught.exception.code())

    def test_health(self):
        # The messages by hand: grpc.health.v1 is not among what is installed.
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        watch = self.channel.unary_stream("/grpc.health.v1.Health/Watch")
        service = b"inference.GRPCInferenceService"
        for request in (b"", b"\x0a" + bytes([len(service)]) + service):
            self.assertEqual(b"\x08\x01", check(request, timeout=10))
            watching = watch(request, timeout=10)
            self.assertEqual(b"\x08\x01", next(watching))
            watching.cancel()
        with self.assertRaises(grpc.RpcError) as caught:
            check(b"\x0a\x01x", timeout=10)
        self.assertEqual(grpc.StatusCode.NOT_FOUND, caught.exception.code())
        self.assertEqual(b"\x08\x03", next(watch(b"\x0a\x01x", timeout=10)))


if __name__ == "__main__":
    fixture.main()
