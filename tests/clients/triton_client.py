# SPDX-License-Identifier: Apache-2.0
"""Both of tritonclient's HTTP clients for one set of tests.

    class Calls(TritonCalls): ...                            # tests that use self.client
    class SyncTest(Calls, SyncClient, fixture.ClientTest): pass
    class AioTest(Calls, AioClient, fixture.ClientTest): pass
"""

import asyncio

import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException


class FromAio:
    """The asyncio client with the synchronous one's face, so that both take the same tests."""

    def __init__(self, address):
        self._loop = asyncio.new_event_loop()
        self._client = self._loop.run_until_complete(self._open(address))

    @staticmethod
    async def _open(address):
        return triton_aio.InferenceServerClient(address)

    def __getattr__(self, name):
        method = getattr(self._client, name)
        if not asyncio.iscoroutinefunction(method):
            return method
        return lambda *args, **named: self._loop.run_until_complete(method(*args, **named))

    def close(self):
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


def input_of(array, datatype, name="x", binary=True):
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


class TritonCalls:
    def assert_refused(self, status, text, call, *args, **named):
        with self.assertRaises(InferenceServerException) as caught:
            call(*args, **named)
        self.assertIn(str(status), str(caught.exception.status()))
        self.assertIn(text, caught.exception.message())


class SyncClient:
    def setUp(self):
        self.client = triton.InferenceServerClient(self.daemon.address)
        self.addCleanup(self.client.close)


class AioClient:
    def setUp(self):
        self.client = FromAio(self.daemon.address)
        self.addCleanup(self.client.close)
