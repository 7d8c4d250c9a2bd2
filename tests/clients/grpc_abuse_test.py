#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What no client should send over gRPC: each is answered with the right code, costs the daemon no
memory and no descriptor that it does not get back, and is not felt by somebody else's requests."""

import os
import threading

import grpc
import numpy as np
from tritonclient.grpc import service_pb2

import fixture
import oip_grpc
from daemon import wait_until
from fixture import VALUES, identity

INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
LIMIT_S = 60
INVALID = (grpc.StatusCode.INVALID_ARGUMENT,)
# What the daemon may keep of memory that it once needed, and what measuring is off by.
SLACK_BYTES = 48 << 20
SLACK_FILES = 8  # segments of the channel


class Bystander:
    """Somebody else, who asks all the time on a connection of his own."""

    def __init__(self, address):
        self._channel = grpc.insecure_channel(address)
        self._infer = self._channel.unary_unary(INFER)
        self._request = oip_grpc.encode(identity("FP32"), {"x": VALUES["FP32"]},
                                        True).SerializeToString()
        self._over = threading.Event()
        self.failures = []
        self.answers = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._over.is_set():
            try:
                self._infer(self._request, timeout=LIMIT_S)
                self.answers += 1
            except grpc.RpcError as error:
                self.failures.append((error.code(), error.details()))

    def stop(self):
        self._over.set()
        self._thread.join()
        self._channel.close()


class AbuseTest(fixture.ClientTest):
    def setUp(self):
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self.channel = grpc.insecure_channel(self.daemon.grpc_address, options=options)
        self.addCleanup(self.channel.close)
        self.infer = self.channel.unary_unary(INFER)
        # The models are loaded by then, and the channel is as large as it gets.
        for datatype in ("FP32", "BYTES", "INT64"):
            self.infer(self.good(datatype), timeout=LIMIT_S)
        self.infer(self.large(), timeout=LIMIT_S)
        self.pid = self.daemon.pid
        self.memory = self.resident()
        self.bystander = Bystander(self.daemon.grpc_address)
        wait_until(lambda: self.bystander.answers > 0, LIMIT_S, "the bystander's first answer")
        self.descriptors = self.open_files()

    def tearDown(self):
        before = self.bystander.answers
        wait_until(lambda: self.bystander.answers > before, LIMIT_S, "the bystander's next answer")
        wait_until(lambda: self.open_files() <= self.descriptors + SLACK_FILES, LIMIT_S, "descriptors given back")
        self.bystander.stop()
        self.assertEqual([], self.bystander.failures)
        self.assertEqual(self.pid, self.daemon.pid)
        self.assertLess(self.resident(), self.memory + SLACK_BYTES)

    def resident(self):
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    @staticmethod
    def good(datatype="FP32", raw=True):
        return oip_grpc.encode(identity(datatype), {"x": VALUES[datatype]}, raw).SerializeToString()

    @staticmethod
    def large():
        return oip_grpc.encode(identity("FP32"), {"x": np.zeros(1 << 20, np.float32)},
                               True).SerializeToString()

    def assert_refused(self, body, codes=INVALID):
        with self.assertRaises(grpc.RpcError) as caught:
            self.infer(body, timeout=LIMIT_S)
        self.assertIn(caught.exception.code(), codes, caught.exception.details())
        return caught.exception.details()

    def test_messages_that_are_cut_off(self):
        for datatype, raw in (("FP32", True), ("BYTES", True), ("INT64", False), ("BYTES", False)):
            whole = self.good(datatype, raw)
            for size in range(len(whole)):
                # Cut within the model's name it is another model.
                self.assert_refused(whole[:size], (*INVALID, grpc.StatusCode.NOT_FOUND))

    def test_bytes_that_are_changed(self):
        """One bit at a time: any answer but a fault of the server."""
        whole = self.good("BYTES")
        for at in range(len(whole)):
            for bit in range(0, 8, 3):
                changed = bytearray(whole)
                changed[at] ^= 1 << bit
                try:
                    self.infer(bytes(changed), timeout=LIMIT_S)
                except grpc.RpcError as error:
                    self.assertIn(error.code(), (*INVALID, grpc.StatusCode.NOT_FOUND),
                                  f"byte {at}, bit {bit}: {error.details()}")

    def test_a_message_that_is_too_large(self):
        text = self.assert_refused(b"\x3a" + b"\x80\x80\x80\x24" + bytes(72 << 20),
                                   (grpc.StatusCode.RESOURCE_EXHAUSTED,))
        self.assertIn(str(64 << 20), text)

    def test_many_parts_in_few_bytes(self):
        """Each takes two bytes of the message, and would take a hundred as an object."""
        name = b"\x0a" + bytes([len(identity("BYTES"))]) + identity("BYTES").encode()

        def field(number, content):
            size, length = len(content), b""
            while True:
                length += bytes([size & 0x7f | (0x80 if size > 0x7f else 0)])
                size >>= 7
                if size == 0:
                    return bytes([number << 3 | 2]) + length + content
        count = 4 << 20
        tensor = b"\x0a\x01x\x12\x05BYTES"
        self.assert_refused(name + b"\x2a\x00" * count)                      # inputs
        self.assert_refused(name + b"\x32\x00" * count)                      # outputs
        self.assert_refused(name + b"\x22\x00" * count)                      # parameters
        self.assert_refused(name + field(5, tensor + b"\x18\x01" * count))   # dimensions
        self.assert_refused(name + field(5, tensor + b"\x22\x00" * count))   # of an input
        self.assert_refused(name + field(5, tensor + field(5, b"\x42\x00" * count)))  # elements
        # As many elements as the shape says are no fault, and no more memory than the message.
        request = oip_grpc.encode(identity("BYTES"), {"x": np.full(1 << 20, b"", object)}, False)
        answer = service_pb2.ModelInferResponse.FromString(
            self.infer(request.SerializeToString(), timeout=LIMIT_S))
        self.assertEqual(4 << 20, len(answer.raw_output_contents[0]))

    def test_groups(self):
        for body in (b"\x0b" * 10_000, b"\x0b" * 10_000 + b"\x0c" * 10_000, b"\x3b\x3c",
                     b"\x2a\x02\x0b\x0c"):
            self.assert_refused(body)

    def test_shapes_and_datatypes(self):
        def changed(change):
            request = service_pb2.ModelInferRequest.FromString(self.good())
            change(request.inputs[0])
            return request.SerializeToString()
        for shape in ([2**32, 2**32], [2**62, 4], [-1], [-2**63], [5], [4, 1], [1] * 17, []):
            def set_shape(tensor, shape=shape):
                tensor.shape[:] = shape
            self.assert_refused(changed(set_shape))
        for datatype in ("", "FP31", "fp32", "FP64", "BYTES", "x" * 10_000):
            def set_datatype(tensor, datatype=datatype):
                tensor.datatype = datatype
            self.assert_refused(changed(set_datatype))

    def test_what_is_only_claimed(self):
        """Memory of the model comes for what is sent, not for what is said."""
        count = 15 << 20
        request = service_pb2.ModelInferRequest(model_name=identity("FP32"))
        request.inputs.add(name="x", datatype="FP32", shape=[count])
        request.raw_input_contents.append(b"1234")
        for _ in range(100):
            self.assert_refused(request.SerializeToString())

    def test_cancelled_at_every_stage(self):
        large = self.large()
        for body in (self.good(), large):
            for attempt in range(100):
                call = self.infer.future(body, timeout=LIMIT_S)
                done = threading.Event()
                call.add_done_callback(lambda _, done=done: done.set())
                done.wait(attempt * 0.0001)
                call.cancel()
                self.assertTrue(done.wait(LIMIT_S))
        stream = self.channel.stream_stream(STREAM)
        for attempt in range(50):
            sent = iter([self.good()] * attempt + [large])
            call = stream(sent, timeout=LIMIT_S)
            try:
                for _ in range(attempt // 2):
                    next(call)
            finally:
                call.cancel()

    def test_deadlines(self):
        for timeout in (0.0001, 0.001, 0.01):
            for _ in range(20):
                try:
                    self.infer(self.good(), timeout=timeout)
                except grpc.RpcError as error:
                    self.assertEqual(grpc.StatusCode.DEADLINE_EXCEEDED, error.code())

    def test_many_streams(self):
        """More than one connection may have at once: they wait in the client."""
        calls = [self.infer.future(self.good(), timeout=LIMIT_S) for _ in range(2000)]
        for call in calls:
            call.result()


if __name__ == "__main__":
    fixture.main()
