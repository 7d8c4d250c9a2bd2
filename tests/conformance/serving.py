# SPDX-License-Identifier: Apache-2.0
"""One model after the other, served by the daemon under test."""

import grpc
from tritonclient.grpc import service_pb2

import daemon
import oip
import oip_grpc

METHOD = "/inference.GRPCInferenceService/ModelInfer"
LIMIT_S = 60


class Http:
    """Requests over HTTP: as JSON, or as binary."""

    def __init__(self, server):
        self._server = server

    def infer(self, model, feeds, binary):
        headers, body = oip.encode(feeds, binary)
        status, headers, body = self._server.call("POST", f"/v2/models/{model}/infer", body,
                                                  headers)
        if status != 200:
            raise daemon.Refused(status, daemon.error_text(body))
        return oip.decode(headers, body)


class Grpc:
    """Requests over gRPC: typed where HTTP has JSON, raw where that has binary."""

    def __init__(self, server):
        self._channel = grpc.insecure_channel(
            server.grpc_address, options=[("grpc.max_receive_message_length", -1)])
        self._infer = self._channel.unary_unary(
            METHOD, service_pb2.ModelInferRequest.SerializeToString,
            service_pb2.ModelInferResponse.FromString)

    def infer(self, model, feeds, binary):
        try:
            return oip_grpc.decode(self._infer(oip_grpc.encode(model, feeds, binary),
                                               timeout=LIMIT_S))
        except grpc.RpcError as error:
            raise daemon.Refused(error.code(), error.details()) from error


PROTOCOLS = {"http": Http, "grpc": Grpc}


class Served:
    """A model that is registered and loaded for the length of a `with`.

    `refusal` says why it is not; then nothing can be asked of it. `calls` is one of PROTOCOLS.
    """

    def __init__(self, server, calls, name, path):
        self._server, self._calls, self._name = server, calls, name
        self.refusal = None
        server.register_model(name, path)
        try:
            server.model_action(name, "load")
        except daemon.Refused as refused:
            self.refusal = refused.text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.refusal is None:
            self._server.model_action(self._name, "unload")
        self._server.remove_model(self._name)

    def infer(self, feeds, binary):
        """The outputs by name, or Refused."""
        return self._calls.infer(self._name, feeds, binary)
