#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""KServe's REST client against the real daemon.

Its package is installed without most of what it requires (../python/README.md), so the modules of
the client are imported without the package's __init__, which pulls in the whole server.
"""

import asyncio
import importlib.util
import sys
import types

import numpy as np


def import_client():
    """The package as an empty shell around its own modules."""
    spec = importlib.util.find_spec("kserve")
    shell = types.ModuleType("kserve")
    shell.__path__ = list(spec.submodule_search_locations)
    sys.modules["kserve"] = shell
    from kserve.inference_client import InferenceRESTClient, RESTConfig
    from kserve.protocol.infer_type import InferInput, InferRequest, RequestedOutput
    return InferenceRESTClient, RESTConfig, InferInput, InferRequest, RequestedOutput


InferenceRESTClient, RESTConfig, InferInput, InferRequest, RequestedOutput = import_client()

import httpx  # noqa: E402  (the client's own transport)

import fixture  # noqa: E402
from fixture import JSON_TYPES, VALUES, identity  # noqa: E402


class KserveTest(fixture.ClientTest):
    def setUp(self):
        self.url = "http://" + self.daemon.address

    def ask(self, method, *args, **named):
        """One call, on a client of its own: clients belong to a loop."""
        async def call():
            async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
                return await getattr(client, method)(self.url, *args, **named)
        return asyncio.run(call())

    def infer(self, model, inputs, outputs=None, **named):
        request = InferRequest(model, inputs, request_outputs=outputs, **named)
        return self.ask("infer", request, model_name=model)

    def test_health(self):
        self.assertIs(True, self.ask("is_server_live"))
        self.assertIs(True, self.ask("is_server_ready"))
        self.daemon.model_action("digits", "load")
        self.assertIs(True, self.ask("is_model_ready", "digits"))
        self.assertIs(False, self.ask("is_model_ready", "nothing"))

    def test_every_datatype(self):
        for datatype, array in VALUES.items():
            for binary in (True, False) if datatype in JSON_TYPES else (True,):
                if datatype == "BF16":
                    continue  # its table of numpy types has no such
                with self.subTest(datatype, binary=binary):
                    tensor = InferInput("x", list(array.shape), datatype)
                    tensor.set_data_from_numpy(array, binary_data=binary)
                    wanted = [RequestedOutput("y", {"binary_data": binary})]
                    response = self.infer(identity(datatype), [tensor], wanted)
                    self.assert_same(array, response.outputs[0].as_numpy())

    def test_digits(self):
        images, labels = fixture.digits()
        tensor = InferInput("image", list(images.shape), "FP32")
        tensor.set_data_from_numpy(images)
        response = self.infer("digits", [tensor], request_id="seven")
        self.assertEqual("seven", response.id)
        self.assertEqual("digits", response.model_name)
        found = {output.name: output.as_numpy() for output in response.outputs}
        self.assertGreater((found["label"] == labels).mean(), 0.97)
        self.assertTrue(np.allclose(found["probabilities"].sum(axis=1), 1, atol=1e-5))

    def test_a_dictionary(self):
        data = {"inputs": [{"name": "x", "datatype": "INT32", "shape": [2], "data": [1, 2]}]}
        response = self.ask("infer", data, model_name="identity_int32")
        self.assertEqual([1, 2], response.outputs[0].data)

    def test_errors_are_said(self):
        data = {"inputs": [{"name": "z", "datatype": "INT32", "shape": [2], "data": [1, 2]}]}
        with self.assertRaisesRegex(httpx.HTTPStatusError, "'z'.*400"):
            self.ask("infer", data, model_name="identity_int32")


if __name__ == "__main__":
    fixture.main()
