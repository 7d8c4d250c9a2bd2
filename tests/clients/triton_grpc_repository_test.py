#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Loads by name, with a configuration and with files, through tritonclient over gRPC: the tests are
those of triton_repository_test.py."""

import tritonclient.grpc as triton

import fixture
from triton_grpc_client import AioClient, SyncClient, TritonCalls, input_of
from triton_repository_test import Loads

CODES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 503: "UNAVAILABLE"}


class Calls(Loads, TritonCalls):
    """The tests; `self.client` is one of the two."""

    triton = triton
    input_of = staticmethod(input_of)
    wrong_state = "FAILED_PRECONDITION"

    def config(self, name):
        return self.client.get_model_config(name, as_json=True)["config"]

    def index(self, name):
        """Version, state and reason of each version of a model."""
        return [(model.version, model.state, model.reason or None)
                for model in self.client.get_model_repository_index().models if model.name == name]

    def assert_refused(self, status, text, call, *args, **named):
        super().assert_refused(CODES.get(status, status), text, call, *args, **named)


class SyncTest(Calls, SyncClient, fixture.ClientTest):
    pass


class AioTest(Calls, AioClient, fixture.ClientTest):
    pass


if __name__ == "__main__":
    fixture.main()
