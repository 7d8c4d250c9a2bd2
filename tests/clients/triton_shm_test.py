#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""System shared memory through tritonclient over HTTP: inputs read from, outputs written to it."""

import numpy as np
import tritonclient.http as triton
import tritonclient.utils.shared_memory as shm

import fixture
from fixture import VALUES, identity
from triton_client import AioClient, SyncClient, TritonCalls, input_of

SIZE = 4096
ANSWER = 2048  # where the outputs go


class Calls(TritonCalls):
    """The tests; `self.client` is one of the two."""

    def region(self, name="tensors", size=SIZE):
        """A region of this test's own, registered."""
        key = f"/mlos-{type(self).__name__}-{self.daemon.pid}-{name}"
        handle = shm.create_shared_memory_region(name, key, size)
        self.addCleanup(shm.destroy_shared_memory_region, handle)
        self.client.register_system_shared_memory(name, key, size)
        self.addCleanup(self.client.unregister_system_shared_memory, name)
        return handle, key

    def in_region(self, array, datatype, size, offset=0):
        tensor = triton.InferInput("x", list(array.shape), datatype)
        tensor.set_shared_memory("tensors", size, offset)
        return tensor

    def out_region(self, size, offset=ANSWER):
        output = triton.InferRequestedOutput("y")
        output.set_shared_memory("tensors", size, offset)
        return output

    def test_every_datatype(self):
        handle, _ = self.region()
        for datatype, array in VALUES.items():
            with self.subTest(datatype):
                size = self.put(handle, array, 64)
                result = self.client.infer(identity(datatype),
                                           [self.in_region(array, datatype, size, 64)],
                                           outputs=[self.out_region(SIZE - ANSWER)])
                described = result.get_output("y")
                self.assertEqual((datatype, list(array.shape)),
                                 (described["datatype"], described["shape"]))
                self.assertNotIn("data", described)
                got = shm.get_contents_as_numpy(handle, array.dtype, list(array.shape), ANSWER)
                self.assert_same(array, got)

    def put(self, handle, array, offset):
        """Writes a tensor; the bytes that it takes."""
        if array.dtype.kind == "O":
            packed = b"".join(len(e).to_bytes(4, "little") + e for e in array)
            shm.set_shared_memory_region(handle, [np.frombuffer(packed, np.uint8)], offset)
            return len(packed)
        shm.set_shared_memory_region(handle, [array], offset)
        return array.nbytes

    def test_only_one_side(self):
        handle, _ = self.region()
        array = VALUES["INT32"]
        shm.set_shared_memory_region(handle, [array])
        result = self.client.infer("identity_int32",
                                   [self.in_region(array, "INT32", array.nbytes)])
        self.assert_same(array, result.as_numpy("y"))
        self.client.infer("identity_int32", [input_of(array * 0 + 5, "INT32")],
                          outputs=[self.out_region(array.nbytes)])
        got = shm.get_contents_as_numpy(handle, np.int32, [4], ANSWER)
        self.assert_same(array * 0 + 5, got)

    def test_status(self):
        _, key = self.region()
        self.region("other")
        (only,) = self.client.get_system_shared_memory_status("tensors")
        self.assertEqual({"name": "tensors", "key": key, "offset": 0, "byte_size": SIZE}, only)
        self.assertEqual({"tensors", "other"}, {
            region["name"] for region in self.client.get_system_shared_memory_status()})
        self.client.unregister_system_shared_memory()
        self.assertEqual([], self.client.get_system_shared_memory_status())

    def test_errors(self):
        _, key = self.region()
        array = VALUES["INT32"]
        self.assert_refused(400, "tensors", self.client.register_system_shared_memory, "tensors",
                            key, SIZE)
        self.assert_refused(400, "4096", self.client.register_system_shared_memory, "large", key,
                            SIZE + 1)
        self.assert_refused(400, "", self.client.infer, "identity_int32",
                            [self.in_region(array, "INT32", array.nbytes, SIZE - 4)])
        tensor = triton.InferInput("x", [4], "INT32")
        tensor.set_shared_memory("nothing", 16)
        self.assert_refused(404, "nothing", self.client.infer, "identity_int32", [tensor])
        # The server says how much an output needs that does not fit.
        self.assert_refused(500, "16", self.client.infer, "identity_int32",
                            [input_of(array, "INT32")], outputs=[self.out_region(8)])

    def test_there_is_no_cuda(self):
        self.assertEqual([], self.client.get_cuda_shared_memory_status())
        self.client.unregister_cuda_shared_memory()
        self.assert_refused(400, "", self.client.register_cuda_shared_memory, "gpu",
                            b"x" * 64, 0, 64)


class SyncTest(Calls, SyncClient, fixture.ClientTest):
    options = ("--allow-client-shm",)


class AioTest(Calls, AioClient, fixture.ClientTest):
    options = ("--allow-client-shm",)


if __name__ == "__main__":
    fixture.main()
