#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the small models of the plugin's tests beside itself.

Needs `onnx` (1.23.2 was used) and `numpy`.  The result is committed, so that
building and testing need neither; run it again after a change here.
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent

TYPES = {
    "fp32": T.FLOAT, "fp64": T.DOUBLE, "fp16": T.FLOAT16, "bf16": T.BFLOAT16,
    "int8": T.INT8, "int16": T.INT16, "int32": T.INT32, "int64": T.INT64,
    "uint8": T.UINT8, "uint16": T.UINT16, "uint32": T.UINT32, "uint64": T.UINT64,
    "bool": T.BOOL, "bytes": T.STRING,
}


def info(name, dtype, shape):
    return helper.make_tensor_value_info(name, dtype, shape)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, **attributes)


def tensor(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def save(name, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                              ir_version=8, producer_name="mlos")
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


def external(name, array, location, offset=0, length=None):
    """A tensor that says its bytes lie in another file."""
    proto = tensor(name, array)
    size = len(proto.raw_data)
    proto.ClearField("raw_data")
    proto.data_location = T.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)),
                       ("length", str(size if length is None else length))):
        entry = proto.external_data.add()
        entry.key, entry.value = key, value
    return proto


def types():
    for name, dtype in TYPES.items():
        save(f"identity_{name}", [node("Identity", ["x"], ["y"])],
             [info("x", dtype, ["n"])], [info("y", dtype, ["n"])])


def shapes():
    ones = tensor("one", np.float32(1))
    save("scalar", [node("Add", ["x", "one"], ["y"])],
         [info("x", T.FLOAT, [])], [info("y", T.FLOAT, [])], [ones])
    # Sizes without names: nothing ties the output's to the input's.
    save("anonymous", [node("Concat", ["x", "x"], ["y"], axis=0)],
         [info("x", T.FLOAT, [None, 2])], [info("y", T.FLOAT, [None, 2])])
    save("fixed", [node("Add", ["x", "x"], ["y"])],
         [info("x", T.FLOAT, [2, 3])], [info("y", T.FLOAT, [2, 3])])
    save("nonzero", [node("NonZero", ["x"], ["y"])],
         [info("x", T.INT64, ["n"])], [info("y", T.INT64, [1, "m"])])
    save("lying", [node("NonZero", ["x"], ["y"])],
         [info("x", T.INT64, ["n"])], [info("y", T.INT64, [1, 2])])
    # The rank of y is what the number of elements in `shape` says.
    save("unknown_rank", [node("Reshape", ["x", "shape"], ["y"])],
         [info("x", T.FLOAT, [1]), info("shape", T.INT64, ["r"])],
         [helper.make_tensor_value_info("y", T.FLOAT, None)])
    save("found_rank", [node("Expand", ["x", "shape"], ["y"])],
         [info("x", T.FLOAT, [1, 1]), info("shape", T.INT64, ["r"])],
         [helper.make_tensor_value_info("y", T.FLOAT, None)])
    save("shapeless_input", [node("Identity", ["x"], ["y"])],
         [helper.make_tensor_value_info("x", T.FLOAT, None)],
         [helper.make_tensor_value_info("y", T.FLOAT, None)])


def graphs():
    save("two_outputs", [node("Add", ["a", "b"], ["sum"]), node("Sub", ["a", "b"], ["difference"])],
         [info("a", T.FLOAT, ["n"]), info("b", T.FLOAT, ["n"])],
         [info("sum", T.FLOAT, ["n"]), info("difference", T.FLOAT, ["n"])])
    # b is an input with a default, which requests cannot give.
    save("default_input", [node("Add", ["a", "b"], ["y"])],
         [info("a", T.FLOAT, [2]), info("b", T.FLOAT, [2])], [info("y", T.FLOAT, [2])],
         [tensor("b", np.array([10, 20], np.float32))])
    # Outputs that the graph also has elsewhere: an input and a constant.
    save("shared", [node("Add", ["x", "x"], ["y"]), node("Identity", ["x"], ["copy"])],
         [info("x", T.FLOAT, [3])],
         [info("y", T.FLOAT, [3]), info("copy", T.FLOAT, [3]), info("constant", T.FLOAT, [2])],
         [tensor("constant", np.array([7, 8], np.float32))])
    branch = [info("r", T.FLOAT, [None])]
    then = helper.make_graph([node("Concat", ["x", "x"], ["r"], axis=0)], "then", [], branch)
    other = helper.make_graph([node("Identity", ["x"], ["r"])], "other", [], branch)
    save("branches", [node("If", ["c"], ["y"], then_branch=then, else_branch=other)],
         [info("c", T.BOOL, []), info("x", T.FLOAT, ["n"])], [info("y", T.FLOAT, [None])])
    save("gather", [node("Gather", ["table", "i"], ["y"])],
         [info("i", T.INT64, ["n"])], [info("y", T.FLOAT, ["n"])],
         [tensor("table", np.arange(4, dtype=np.float32))])
    save("sequence", [node("SplitToSequence", ["x"], ["y"], axis=0)],
         [info("x", T.FLOAT, [2])],
         [helper.make_tensor_sequence_value_info("y", T.FLOAT, None)])
    rng = np.random.default_rng(7)
    weights = rng.standard_normal((64, 10)).astype(np.float32)
    save("classifier", [node("MatMul", ["x", "w"], ["m"]), node("Softmax", ["m"], ["p"])],
         [info("x", T.FLOAT, ["batch", 64])], [info("p", T.FLOAT, ["batch", 10])],
         [tensor("w", weights)])


def externals():
    weights = np.arange(16, dtype=np.float32).reshape(4, 4)
    (HERE / "weights.bin").write_bytes(weights.tobytes())
    x, y = [info("x", T.FLOAT, [1, 4])], [info("y", T.FLOAT, [1, 4])]

    def matmul(name, proto):
        save(name, [node("MatMul", ["x", "w"], ["y"])], x, y, [proto])

    # Large enough to be handed over as it lies; the small ones are inlined.
    large = np.arange(1024, dtype=np.float32).reshape(4, 256)
    (HERE / "large.bin").write_bytes(b"-" * 64 + large.tobytes())
    save("external_large", [node("MatMul", ["x", "w"], ["y"])], x, [info("y", T.FLOAT, [1, 256])],
         [external("w", large, "large.bin", 64)])
    matmul("external", external("w", weights, "weights.bin"))
    matmul("external_dot", external("w", weights, "./weights.bin"))
    matmul("external_missing", external("w", weights, "absent.bin"))
    matmul("external_parent", external("w", weights, "../weights.bin"))
    matmul("external_absolute", external("w", weights, "/etc/passwd"))
    matmul("external_address", external("w", weights, "*/_ORT_MEM_ADDR_/*", 4096))
    matmul("external_beyond", external("w", weights, "weights.bin", 32))
    matmul("external_short", external("w", weights, "weights.bin", 0, 32))
    save("external_constant",
         [node("Constant", [], ["w"], value=external("w", weights, "weights.bin")),
          node("MatMul", ["x", "w"], ["y"])], x, y)
    inner = helper.make_graph([node("MatMul", ["x", "w"], ["r"])], "then", [],
                              [info("r", T.FLOAT, [1, 4])],
                              [external("w", weights, "weights.bin")])
    other = helper.make_graph([node("Identity", ["x"], ["r"])], "other", [],
                              [info("r", T.FLOAT, [1, 4])])
    save("external_inner", [node("If", ["c"], ["y"], then_branch=inner, else_branch=other)],
         [info("c", T.BOOL, [])] + x, y)
    # A shape must be known when the graph is built, which is before ONNX
    # Runtime takes external data in.
    (HERE / "shape.bin").write_bytes(np.array([2, 2], np.int64).tobytes())
    save("external_shape", [node("Reshape", ["x", "s"], ["y"])],
         x, [info("y", T.FLOAT, [2, 2])],
         [external("s", np.array([2, 2], np.int64), "shape.bin")])


if __name__ == "__main__":
    types()
    shapes()
    graphs()
    externals()
