# SPDX-License-Identifier: Apache-2.0
"""The Open Inference Protocol over HTTP, written by hand: arrays to requests, answers to arrays.

For tests that must see what is on the wire; tests of clients use the clients. BYTES are arrays of
objects, each element bytes. Pure functions.
"""

import json
import struct

import ml_dtypes
import numpy as np

DTYPES = {
    "BOOL": np.dtype(np.bool_), "UINT8": np.dtype(np.uint8), "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32), "UINT64": np.dtype(np.uint64), "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16), "INT32": np.dtype(np.int32), "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16), "BF16": np.dtype(ml_dtypes.bfloat16),
    "FP32": np.dtype(np.float32), "FP64": np.dtype(np.float64),
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
WITHOUT_JSON = ("FP16", "BF16")


class Malformed(Exception):
    """An answer that breaks the protocol."""


def datatype_of(array):
    return "BYTES" if array.dtype.kind in "OSU" else NAMES[array.dtype]


def element_bytes(element):
    return element.encode() if isinstance(element, str) else bytes(element)


def to_bytes(array):
    """The binary form of a tensor."""
    if datatype_of(array) != "BYTES":
        return np.ascontiguousarray(array).tobytes()
    parts = []
    for element in array.reshape(-1):
        content = element_bytes(element)
        parts += [struct.pack("<I", len(content)), content]
    return b"".join(parts)


def from_bytes(datatype, shape, content):
    if datatype != "BYTES":
        dtype = DTYPES[datatype]
        if len(content) != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
            raise Malformed(f"{len(content)} bytes for {datatype} {list(shape)}")
        return np.frombuffer(content, dtype).reshape(shape)
    elements, at = [], 0
    while at < len(content):
        (length,) = struct.unpack_from("<I", content, at)
        elements.append(content[at + 4:at + 4 + length])
        at += 4 + length
    if at != len(content) or len(elements) != int(np.prod(shape, dtype=np.int64)):
        raise Malformed(f"{len(elements)} elements in {len(content)} bytes for BYTES {list(shape)}")
    array = np.empty(len(elements), object)
    array[:] = elements
    return array.reshape(shape)


def json_elements(array):
    """The elements as JSON takes them; ValueError for BYTES that are not text."""
    if datatype_of(array) == "BYTES":
        return [element_bytes(element).decode() for element in array.reshape(-1)]
    return array.reshape(-1).tolist()


def encode(inputs, binary, outputs=None):
    """A request: headers and body. `inputs` maps names to arrays."""
    tensors, blobs = [], []
    for name, array in inputs.items():
        tensor = {"name": name, "datatype": datatype_of(array), "shape": list(array.shape)}
        if binary:
            blobs.append(to_bytes(array))
            tensor["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            tensor["data"] = json_elements(array)
        tensors.append(tensor)
    request = {"inputs": tensors, "parameters": {"binary_data_output": binary}}
    if outputs is not None:
        request["outputs"] = [{"name": name} for name in outputs]
    head = json.dumps(request).encode()
    headers = {"Content-Type": "application/json"}
    if binary:
        headers = {"Content-Type": "application/octet-stream",
                   "Inference-Header-Content-Length": str(len(head))}
    return headers, b"".join([head, *blobs])


def _from_json(output):
    datatype, shape = output["datatype"], output["shape"]
    if datatype in WITHOUT_JSON:
        raise Malformed(f"{datatype} came as JSON")
    kinds = {"BOOL": (bool,), "BYTES": (str,), "FP32": (float,), "FP64": (float,)}
    allowed = kinds.get(datatype, (int,))
    if not all(type(element) in allowed for element in output["data"]):
        raise Malformed(f"an element of a {datatype} output is none of {allowed}")
    if datatype == "BYTES":
        array = np.empty(len(output["data"]), object)
        array[:] = [element.encode() for element in output["data"]]
    else:
        array = np.array(output["data"], DTYPES[datatype])
    return array.reshape(shape)


def decode(headers, body):
    """The outputs of a successful answer, by name."""
    length = headers.get("Inference-Header-Content-Length")
    at = len(body) if length is None else int(length)
    answer = json.loads(body[:at])
    outputs = {}
    for output in answer["outputs"]:
        if "data" in output:
            if "parameters" in output:
                raise Malformed("a JSON output has parameters")
            outputs[output["name"]] = _from_json(output)
            continue
        size = output["parameters"]["binary_data_size"]
        outputs[output["name"]] = from_bytes(output["datatype"], output["shape"],
                                             body[at:at + size])
        at += size
    if at != len(body):
        raise Malformed(f"{len(body) - at} bytes belong to no output")
    return outputs


def same_bits(left, right):
    """Equal in datatype, shape and every bit."""
    return (datatype_of(left) == datatype_of(right) and left.shape == right.shape
            and to_bytes(left) == to_bytes(right))


def same_bits_but_nan(left, right):
    """As same_bits, but JSON has one word for every value that is not a number."""
    if datatype_of(left) not in ("FP32", "FP64"):
        return same_bits(left, right)
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    missing = np.isnan(left)
    return (np.array_equal(missing, np.isnan(right))
            and left[~missing].tobytes() == right[~missing].tobytes())
