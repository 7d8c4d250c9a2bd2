#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the models that only the benchmarks use.

    pip install --require-hashes -r examples/digits/requirements.txt    # into a virtual environment
    python bench/models/make_models.py

    relu_224.onnx    input FP32 [-1,3,224,224] -> output FP32 of the same shape

One image of relu_224 is 602,112 bytes each way, the size of an ordinary picture classifier's input,
and its one operator costs little more than touching the bytes: what is measured is moving them.
"""

import pathlib

import onnx
from onnx import TensorProto, helper

HERE = pathlib.Path(__file__).resolve().parent


def relu_224():
    shape = ["batch", 3, 224, 224]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["input"], ["output"])],
        "relu_224",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
                              producer_name="bench/models/make_models.py")
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


if __name__ == "__main__":
    (HERE / "relu_224.onnx").write_bytes(relu_224())
