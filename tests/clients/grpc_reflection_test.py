#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tools that know no message beforehand, as grpcurl does: they ask the daemon by reflection, with
grpcio's own client for that, and call what they find."""

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase)

import fixture

LIMIT_S = 60


class ReflectionTest(fixture.ClientTest):
    def setUp(self):
        self.channel = grpc.insecure_channel(self.daemon.grpc_address)
        self.addCleanup(self.channel.close)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def call(self, service, method, request=None):
        """All answers, as JSON has them."""
        found = self.pool.FindServiceByName(service).FindMethodByName(method)
        takes = message_factory.GetMessageClass(found.input_type)
        gives = message_factory.GetMessageClass(found.output_type)
        make = self.channel.unary_stream if found.server_streaming else self.channel.unary_unary
        answer = make(f"/{service}/{method}", request_serializer=takes.SerializeToString,
                      response_deserializer=gives.FromString)(
                          json_format.ParseDict(request or {}, takes()), timeout=LIMIT_S)
        return [json_format.MessageToDict(each, preserving_proto_field_name=True)
                for each in (answer if found.server_streaming else [answer])]

    def test_services(self):
        self.assertLessEqual({"inference.GRPCInferenceService", "grpc.health.v1.Health",
                              "mlos.v1.Management"}, set(self.database.get_services()))
        with self.assertRaises(KeyError):
            self.pool.FindServiceByName("no.such.Service")

    def test_inference(self):
        (metadata,) = self.call("inference.GRPCInferenceService", "ModelMetadata",
                                {"name": "digits"})
        self.assertEqual("image", metadata["inputs"][0]["name"])
        images, _ = fixture.digits()
        (answer,) = self.call("inference.GRPCInferenceService", "ModelInfer", {
            "model_name": "digits",
            "inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 64],
                        "contents": {"fp32_contents": images[0].tolist()}}]})
        self.assertEqual("label", answer["outputs"][0]["name"])
        self.assertEqual(2, len(answer["raw_output_contents"]))

    def test_management(self):
        service = "mlos.v1.Management"
        found = self.pool.FindServiceByName(service)
        self.assertLess(30, len(found.methods))
        (plugins,) = self.call(service, "ListPlugins")
        self.assertEqual(["onnxruntime"], [each["name"] for each in plugins["plugins"]])
        model = {"name": "digits", "version": "1"}
        for method, state in (("UnloadModel", "unloaded"), ("LoadModel", "ready")):
            last = self.call(service, method, model)[-1]
            self.assertTrue(last["done"])
            self.assertEqual(state, last["object"]["state"])

    def test_health(self):
        self.assertEqual([{"status": "SERVING"}], self.call("grpc.health.v1.Health", "Check"))


if __name__ == "__main__":
    fixture.main()
