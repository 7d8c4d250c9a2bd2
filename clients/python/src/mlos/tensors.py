# SPDX-License-Identifier: Apache-2.0
"""Datatypes and the bytes of tensors.

BF16 is numpy's uint16 (the upper half of a float32), because numpy has no such type.  BYTES are
arrays of objects: bytes or str on their way in, bytes on their way out.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InternalError, InvalidArgumentError

BYTES = "BYTES"
DTYPES: dict[str, np.dtype[Any]] = {name: np.dtype(dtype) for name, dtype in {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32,
    "UINT64": np.uint64, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32,
    "INT64": np.int64, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
    "BF16": np.uint16, BYTES: np.object_}.items()}


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """An input or output as the model declares it; -1 in the shape: any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """How its elements look in numpy."""
        return DTYPES[self.datatype]


@dataclasses.dataclass(frozen=True)
class BytesSpec:
    """A BYTES input of `Model.prepare` whose values come later: shape, and the bytes of the
    tensor, which are those of all elements and 4 for each."""

    shape: tuple[int, ...]
    byte_size: int


def pack_bytes(values: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """The bytes of a BYTES tensor: of each element its length as uint32, then its bytes."""
    parts: list[bytes] = []
    for element in as_objects(values).reshape(-1).tolist():
        if isinstance(element, str):
            element = element.encode()
        elif not isinstance(element, (bytes, bytearray, memoryview)):
            raise InvalidArgumentError(
                f"an element of a BYTES tensor is bytes or str, not {type(element).__name__}")
        element = bytes(element)
        parts += (struct.pack("<I", len(element)), element)
    return np.frombuffer(b"".join(parts), np.uint8)


def as_objects(values: Any) -> npt.NDArray[np.object_]:
    # numpy's own bytes drop zeros at the end: only lists and arrays are looked into.
    if isinstance(values, np.ndarray):
        return values.astype(np.object_)
    return np.array(values, dtype=np.object_)


def unpack_bytes(content: bytes, shape: Sequence[int]) -> npt.NDArray[np.object_]:
    count = math.prod(shape)
    elements: list[bytes] = []
    at = 0
    while at < len(content) and len(elements) <= count:
        end = at + 4
        if end <= len(content):
            end += struct.unpack_from("<I", content, at)[0]
        if end > len(content):
            raise InternalError("an element of a BYTES output ends beyond the tensor")
        elements.append(content[at + 4:end])
        at = end
    if len(elements) != count:
        raise InternalError(f"a BYTES output of {count} elements does not have as many")
    array = np.empty(count, np.object_)
    array[:] = elements
    return array.reshape(shape)


def as_input(spec: TensorSpec, value: Any) -> npt.NDArray[Any]:
    """An input's value as an array of its dtype; arrays of another are refused, not converted."""
    if spec.datatype == BYTES:
        return as_objects(value)
    dtype = spec.dtype
    if not isinstance(value, (np.ndarray, np.generic)):
        try:
            return np.asarray(value, dtype)
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidArgumentError(f'input "{spec.name}": {error}') from error
    array = np.asarray(value)
    if array.dtype != dtype and spec.datatype == "BF16" and array.dtype.name == "bfloat16":
        return np.ascontiguousarray(array).view(np.uint16).reshape(array.shape)
    if array.dtype != dtype:
        raise InvalidArgumentError(f'input "{spec.name}" is {spec.datatype}: give an array of '
                                   f"{dtype}, not of {array.dtype}")
    return array
