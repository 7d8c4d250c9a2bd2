# SPDX-License-Identifier: Apache-2.0
"""Both of tritonclient's gRPC clients for one set of tests.

    class Calls(TritonCalls): ...                            # tests that use self.client
    class SyncTest(Calls, SyncClient, fixture.ClientTest): pass
    class AioTest(Calls, AioClient, fixture.ClientTest): pass
"""

import asyncio
import queue

import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

ANSWER_LIMIT_S = 30


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

    def stream(self, requests, **named):
        """The answers to `requests`, all sent before one is read."""
        async def run():
            async def sender():
                for request in requests:
                    yield request
            answers = []
            async for result, error in self._client.stream_infer(sender(), **named):
                answers.append(error if result is None else result)
            return answers
        return self._loop.run_until_complete(run())

    def close(self):
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


class Synchronous:
    """The synchronous client with `stream`."""

    def __init__(self, address):
        self._client = triton.InferenceServerClient(address)

    def __getattr__(self, name):
        return getattr(self._client, name)

    def stream(self, requests, **named):
        answers = queue.Queue()
        self._client.start_stream(lambda result, error: answers.put(error if error else result),
                                  **named)
        try:
            for request in requests:
                self._client.async_stream_infer(**request)
            return [answers.get(timeout=ANSWER_LIMIT_S) for _ in requests]
        finally:
            self._client.stop_stream()


def input_of(array, datatype, name="x"):
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    return tensor


class TritonCalls:
    def assert_refused(self, status, text, call, *args, **named):
        with self.assertRaises(InferenceServerException) as caught:
            call(*args, **named)
        self.assertIn(status, str(caught.exception.status()))
        self.assertIn(text, caught.exception.message())


class SyncClient:
    def setUp(self):
        self.client = Synchronous(self.daemon.grpc_address)
        self.addCleanup(self.client.close)


class AioClient:
    def setUp(self):
        self.client = FromAio(self.daemon.grpc_address)
        self.addCleanup(self.client.close)
