# SPDX-License-Identifier: Apache-2.0
"""ONNX's backend test cases, out of the two places that carry them.

`debian`: the package libonnx-testdata, files on the disk. `wheel`: the newer ones of the Python
package onnx, which makes most of them when asked. A Case is a model file, sets of inputs and
expected outputs as arrays, and the tolerances of ONNX's own runner.
"""

import glob
import importlib.metadata
import pathlib
import subprocess

import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner

DEBIAN_DATA = pathlib.Path("/usr/share/libonnx-testdata/data")
KINDS = ("node", "pytorch-converted", "pytorch-operator", "simple")
WHEEL_DATA = pathlib.Path(onnx.__file__).parent / "backend/test/data"
RTOL, ATOL = 1e-3, 1e-7  # what ONNX's runner takes where a case says nothing

# The datatypes of the protocol, by ONNX's numbers.
PROTOCOL_TYPES = {
    onnx.TensorProto.BOOL: "BOOL", onnx.TensorProto.UINT8: "UINT8",
    onnx.TensorProto.UINT16: "UINT16", onnx.TensorProto.UINT32: "UINT32",
    onnx.TensorProto.UINT64: "UINT64", onnx.TensorProto.INT8: "INT8",
    onnx.TensorProto.INT16: "INT16", onnx.TensorProto.INT32: "INT32",
    onnx.TensorProto.INT64: "INT64", onnx.TensorProto.FLOAT16: "FP16",
    onnx.TensorProto.BFLOAT16: "BF16", onnx.TensorProto.FLOAT: "FP32",
    onnx.TensorProto.DOUBLE: "FP64", onnx.TensorProto.STRING: "BYTES",
}


class Case:
    """`sets` holds pairs of lists, inputs and expected outputs, in the order of the model's."""

    def __init__(self, source, kind, name, model, path, load_sets, tolerances=(RTOL, ATOL)):
        self.source, self.kind, self.name, self.path = source, kind, name, path
        self.rtol, self.atol = tolerances
        self._model, self._load_sets = model, load_sets

    def open(self):
        """Reads the model and its data; what the properties below need."""
        if self._model is None:
            self._model = onnx.load(self.path, load_external_data=False)
        graph = self._model.graph
        weights = {tensor.name for tensor in graph.initializer}
        self.inputs = [value for value in graph.input if value.name not in weights]
        self.outputs = list(graph.output)
        self.foreign = sorted({kind for kind in map(foreign_kind, self.inputs + self.outputs) if kind})
        self.sets = [] if self.foreign else self._load_sets(self)

    def close(self):
        self._model = None
        self.sets = self.inputs = self.outputs = None

    def feeds(self, inputs):
        """The inputs of one set by name."""
        return {value.name: array for value, array in zip(self.inputs, inputs)}


def foreign_kind(value):
    """What of a model's input or output the protocol has no word for; nothing if it has."""
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        return (kind or "nothing").removesuffix("_type").replace("_", " ")
    element = value.type.tensor_type.elem_type
    return "" if element in PROTOCOL_TYPES else onnx.TensorProto.DataType.Name(element)


def read_tensor(path):
    tensor = onnx.TensorProto()
    tensor.ParseFromString(pathlib.Path(path).read_bytes())
    return numpy_helper.to_array(tensor)


def numbered(directory, what, declared):
    """The tensors of a set; older data has the bits of a BFLOAT16 as UINT16."""
    count = len(glob.glob(f"{directory}/{what}_*.pb"))
    arrays = [read_tensor(f"{directory}/{what}_{i}.pb") for i in range(count)]
    return [array.view(ml_dtypes.bfloat16)
            if array.dtype == np.uint16
            and value.type.tensor_type.elem_type == onnx.TensorProto.BFLOAT16 else array
            for array, value in zip(arrays, declared)]


def sets_on_disk(case):
    directories = sorted(glob.glob(f"{case.path.parent}/test_data_set*"))
    if not directories:
        raise FileNotFoundError(f"{case.path.parent} has no data")
    return [(numbered(d, "input", case.inputs), numbered(d, "output", case.outputs))
            for d in directories]


def light_sets(case):
    """The made-up input that ONNX's runner gives its light networks, and what must come out."""
    inputs = [Runner.generate_dummy_data(value, seed=0, name=case.name, random=False)
              for value in case.inputs]
    return [(inputs, [read_tensor(f"{case.path.with_suffix('')}_output_{i}.pb")
                      for i in range(len(case.outputs))])]


def debian_cases():
    """Every case of the package."""
    paths = sorted(path for kind in KINDS for path in (DEBIAN_DATA / kind).glob("*/model.onnx"))
    if not paths:
        raise FileNotFoundError(f"no test data in {DEBIAN_DATA}; run scripts/deps, which installs "
                                "libonnx-testdata")
    return [Case("debian", path.parent.parent.name, path.parent.name, None, path, sets_on_disk)
            for path in paths]


def as_array(value):
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def in_memory_sets(test):
    def load(_):
        return [([as_array(v) for v in inputs], [as_array(v) for v in outputs])
                for inputs, outputs in test.data_sets]
    return load


def wheel_cases(directory):
    """Every case of the Python package; models that it makes are written below `directory`."""
    np.random.seed(0)  # the package makes its data when it is imported
    cases = []
    for test in load_model_tests(kind="node"):
        path = pathlib.Path(directory) / f"{test.name}.onnx"
        path.write_bytes(test.model.SerializeToString())
        cases.append(Case("wheel", "node", test.name, test.model, path, in_memory_sets(test),
                          (test.rtol, test.atol)))
    for kind in KINDS[1:]:
        for test in load_model_tests(kind=kind):
            cases.append(Case("wheel", kind, test.name, None,
                              pathlib.Path(test.model_dir) / "model.onnx", sets_on_disk,
                              (test.rtol, test.atol)))
    for test in load_model_tests(kind="real"):
        # Named by a path below the package: the network without its trained weights.
        path = WHEEL_DATA / "light" / pathlib.PurePosixPath(test.url).name
        cases.append(Case("wheel", "light", test.name, None, path, light_sets,
                          (test.rtol, test.atol)))
    return sorted(cases, key=lambda case: (case.kind, case.name))


def versions():
    """What the cases come from."""
    debian = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libonnx-testdata"],
                            capture_output=True, text=True, check=False).stdout
    return {"debian": f"libonnx-testdata {debian or '(not from a package)'}",
            "wheel": f"onnx {importlib.metadata.version('onnx')}"}
