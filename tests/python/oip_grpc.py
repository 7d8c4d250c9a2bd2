# SPDX-License-Identifier: Apache-2.0
"""The Open Inference Protocol over gRPC: arrays to requests, answers to arrays.

As oip.py, for tests that must see what is on the wire. The messages are tritonclient's.
"""

from tritonclient.grpc import service_pb2

import oip

# Where the elements of a datatype are, typed; halves have no such place.
LISTS = {"BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents",
         "INT32": "int_contents", "INT64": "int64_contents", "UINT8": "uint_contents",
         "UINT16": "uint_contents", "UINT32": "uint_contents", "UINT64": "uint64_contents",
         "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents"}


def encode(model, feeds, raw):
    """The request for `feeds`, arrays by name."""
    request = service_pb2.ModelInferRequest(model_name=model)
    for name, array in feeds.items():
        datatype = oip.datatype_of(array)
        tensor = request.inputs.add(name=name, datatype=datatype, shape=array.shape)
        if raw:
            request.raw_input_contents.append(oip.to_bytes(array))
        elif datatype == "BYTES":
            tensor.contents.bytes_contents.extend(map(oip.element_bytes, array.reshape(-1)))
        else:
            getattr(tensor.contents, LISTS[datatype]).extend(array.reshape(-1).tolist())
    return request


def decode(response):
    """The outputs by name; Malformed where they are not as the protocol has them."""
    if len(response.outputs) != len(response.raw_output_contents):
        raise oip.Malformed(f"{len(response.raw_output_contents)} raw contents for "
                            f"{len(response.outputs)} outputs")
    return {output.name: oip.from_bytes(output.datatype, tuple(output.shape), content)
            for output, content in zip(response.outputs, response.raw_output_contents)}
